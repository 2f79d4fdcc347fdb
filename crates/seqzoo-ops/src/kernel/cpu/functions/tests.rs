//! The functions are as exact as they say, on every kind of processor that this one can stand in for.

use super::exponential::of_one_f32;
use super::normal::{gelu_and_slopes, normal};
use super::{sigmoid, softplus};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner};
use pulp::{Simd, WithSimd};

/// Runs `function` over numbers from `from` to `to` and compares with what is exact.
struct Check<F> {
    function: F,
    exact: fn(f64) -> f64,
    from: f64,
    to: f64,
    within: f64,
}

trait Function: Copy {
    fn call<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>) -> E::Vector<S>;
}

impl<F: Function> Check<F> {
    fn of<S: Simd, E: Real>(&self, simd: S, within: f64) {
        const STEPS: usize = 100_000;
        let mut numbers = vec![E::default(); lanes::<S, E>()];
        for step in 0..=STEPS {
            let x = E::from_f64(self.from + (self.to - self.from) * step as f64 / STEPS as f64);
            let found = self.function.call::<S, E>(simd, E::splat(simd, x));
            E::vectors_mut::<S>(&mut numbers)[0] = found;
            let exact = (self.exact)(x.into_f64());
            let error = (numbers[0].into_f64() - exact).abs() / exact.abs().max(1e-37);
            assert!(error <= within, "at {x:?}: {:?}, but {exact} is exact", numbers[0]);
        }
    }
}

impl<F: Function> WithSimd for Check<F> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        self.of::<S, f32>(simd, self.within);
        // As many units in the last place.
        self.of::<S, f64>(simd, 2e-9 * self.within + 1e-15);
    }
}

macro_rules! function {
    ($name:ident, $call:expr) => {
        #[derive(Clone, Copy)]
        struct $name;
        impl Function for $name {
            fn call<S: Simd, E: Real>(self, simd: S, x: E::Vector<S>) -> E::Vector<S> {
                $call(simd, x)
            }
        }
    };
}
function!(Exp2, E::exp2);
function!(Exp, E::exp);
function!(Ln1p, E::ln_1p);
function!(ExpM1, E::exp_m1);
function!(Sine, |simd, x| E::sin_cos(simd, x)[0]);
function!(Cosine, |simd, x| E::sin_cos(simd, x)[1]);
function!(Sigmoid, sigmoid::<S, E>);
function!(Softplus, softplus::<S, E>);
function!(Normal, |simd, x| normal::<S, E>(simd, x)[0]);
function!(Gelu, |simd, x| gelu_and_slopes::<S, E>(simd, x)[0]);
function!(GeluSlope, |simd, x| gelu_and_slopes::<S, E>(simd, x)[1]);
function!(GeluBend, |simd, x| gelu_and_slopes::<S, E>(simd, x)[2]);

fn on_every_processor<F: Function>(function: F, exact: fn(f64) -> f64, (from, to): (f64, f64), within: f64) {
    let check = || Check { function, exact, from, to, within };
    Here.run(check());
    Narrow.run(check());
    Plain.run(check());
}

#[test]
fn the_exponential_is_exact_to_two_units() {
    on_every_processor(Exp2, f64::exp2, (-126.0, 10.0), 2.4e-7);
}

#[test]
fn the_natural_exponential_is_exact_to_three_units() {
    on_every_processor(Exp, f64::exp, (-87.3, 87.0), 3.6e-7);
    on_every_processor(Exp, f64::exp, (-1.0, 1.0), 2.4e-7);
}

#[test]
fn the_logarithm_is_exact_to_three_units_down_to_nothing() {
    on_every_processor(Ln1p, f64::ln_1p, (0.0, 1.0), 3.6e-7);
    on_every_processor(Ln1p, f64::ln_1p, (1e-30, 1e-6), 3.6e-7);
}

#[test]
fn an_exponential_less_one_is_exact_down_to_nothing() {
    on_every_processor(ExpM1, f64::exp_m1, (-100.0, 0.0), 5e-7);
    on_every_processor(ExpM1, f64::exp_m1, (-1.0, 0.0), 5e-7);
    on_every_processor(ExpM1, f64::exp_m1, (-1e-6, -1e-30), 5e-7);
}

#[test]
fn sines_are_exact_beside_their_angle() {
    // Away from where they are 0, since this asks for the relative error.
    for turn in [-10_000.0, -3.0, -1.0, 0.0, 1.0, 2.0, 40.0, 10_000.0, 1e6] {
        let from = f64::from((turn * std::f64::consts::TAU) as f32);
        let within = 2e-7 + 1.3e-7 * from.abs();
        for quarter in 0..4 {
            let around = from + f64::from(quarter) * std::f64::consts::FRAC_PI_2;
            on_every_processor(Sine, f64::sin, (around + 0.1, around + 1.4), within.max(1e-6));
            on_every_processor(Cosine, f64::cos, (around + 0.1, around + 1.4), within.max(1e-6));
        }
    }
    on_every_processor(Sine, f64::sin, (-1e-6, -1e-30), 2e-7);
}

#[test]
fn a_sigmoid_overflows_nowhere() {
    on_every_processor(Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), (-80.0, 100.0), 6e-7);
}

#[test]
fn a_softplus_overflows_nowhere() {
    let exact = |x: f64| if x < 0.0 { x.exp().ln_1p() } else { x + (-x).exp().ln_1p() };
    on_every_processor(Softplus, exact, (-80.0, 1000.0), 6e-7);
}

#[test]
fn what_is_no_number_stays_so_and_what_is_too_small_is_zero() {
    struct Edges;
    impl WithSimd for Edges {
        type Output = ();
        fn with_simd<S: Simd>(self, simd: S) {
            for function in [<f32 as Real>::exp2::<S>, <f32 as Real>::exp::<S>] {
                let first = |x: f32| {
                    let mut numbers = vec![0.0; lanes::<S, f32>()];
                    f32::vectors_mut::<S>(&mut numbers)[0] = function(simd, f32::splat(simd, x));
                    numbers[0]
                };
                assert!(first(f32::NAN).is_nan());
                assert_eq!([-127.0, -1e30, f32::NEG_INFINITY].map(first), [0.0; 3]);
                assert_eq!(first(0.0), 1.0);
                assert!(first(500.0) > 1e38);
            }
        }
    }
    Here.run(Edges);
    Narrow.run(Edges);
    Plain.run(Edges);
}

#[test]
fn the_exponential_of_one_number_is_exact_to_two_units() {
    for step in 0..=873_000 {
        let x = -(step as f32) * 1e-4;
        let exact = f64::from(x).exp();
        let error = (f64::from(of_one_f32(x)) - exact).abs() / exact;
        assert!(error < 2.5e-7, "e^{x} is off by {error:e}");
    }
    assert_eq!(of_one_f32(0.0), 1.0);
}

#[test]
fn of_one_number_what_is_no_number_stays_so_and_what_is_too_small_is_zero() {
    assert_eq!([-88.0, -1e30, f32::NEG_INFINITY].map(of_one_f32), [0.0; 3]);
    assert!(of_one_f32(f32::NAN).is_nan());
    assert!(of_one_f32(1e30).is_finite());
}

/// `Φ(x) - 1/2` by the series `φ(x) (x + x³/3 + x⁵/(3·5) + ..)`.
fn exact_normal(x: f64) -> f64 {
    let (mut term, mut sum) = (x, 0.0);
    for n in 1..200 {
        sum += term;
        term *= x * x / f64::from(2 * n + 1);
    }
    0.5 + sum * exact_density(x)
}

fn exact_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn the_normal_distribution_and_gelu_are_exact_where_they_count() {
    on_every_processor(Normal, exact_normal, (-1.0, 6.0), 4e-7);
    on_every_processor(Gelu, |x| x * exact_normal(x), (0.01, 6.0), 4e-7);
    on_every_processor(GeluSlope, |x| exact_normal(x) + x * exact_density(x), (-0.3, 6.0), 4e-7);
    on_every_processor(GeluBend, |x| (2.0 - x * x) * exact_density(x), (-1.2, 1.2), 2e-6);
}

#[test]
fn far_out_gelu_is_nothing_or_its_input_and_what_is_no_number_stays_so() {
    struct Far;
    impl WithSimd for Far {
        type Output = ();
        fn with_simd<S: Simd>(self, simd: S) {
            let of = |x: f32| {
                gelu_and_slopes::<S, f32>(simd, f32::splat(simd, x)).map(|found| {
                    let mut numbers = vec![0.0; lanes::<S, f32>()];
                    f32::vectors_mut::<S>(&mut numbers)[0] = found;
                    numbers[0]
                })
            };
            for x in [100.0, 1e19, 1e30] {
                assert_eq!(of(x), [x, 1.0, 0.0]);
                assert!(of(-x).iter().all(|y| y.abs() < 1e-17), "{x}: {:?}", of(-x));
            }
            assert!(of(f32::NAN).iter().all(|y| y.is_nan()));
            // Down the negative side the error is absolute.
            for step in 0..800 {
                let x = -f64::from(step) / 100.0;
                // 1 - Φ(-x) loses digits that do not count here.
                let (below, density) = (1.0 - exact_normal(-x), exact_density(x));
                let exact = [x * below, below + x * density, (2.0 - x * x) * density];
                for (found, exact) in of(x as f32).into_iter().zip(exact) {
                    assert!((f64::from(found) - exact).abs() < 4e-7, "at {x}: {found} for {exact}");
                }
            }
        }
    }
    Here.run(Far);
    Narrow.run(Far);
    Plain.run(Far);
}
