//! Functions of vectors that no processor has.

use super::lanes::Real;
use bytemuck::Pod;
use pulp::Simd;
use std::f32::consts::{FRAC_2_PI, LOG2_E};

/// Adding it rounds to an integer, which is in the low bits then: 1.5 · 2^23.
const ROUND: f32 = 12_582_912.0;

/// `2^x` within 2 units in the last place; 0 where it is no normal number, and NaN stays.
#[inline(always)]
pub(super) fn exp2_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LEAST: f32 = -126.0;
    const MOST: f32 = 127.0;
    let splat = |number| simd.splat_f32s(number);
    let bounded = simd.max_f32s(simd.min_f32s(x, splat(MOST)), splat(LEAST));
    let shifted = simd.add_f32s(bounded, splat(ROUND));
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, splat(ROUND)));
    simd.select_f32s(simd.less_than_f32s(x, splat(LEAST)), splat(0.0), power(simd, shifted, r))
}

/// `2^(n + r)` with `|r| <= 1/2` and `n` in the low bits of `shifted`, at least -126: `2^n` through the exponent's bits,
/// and `2^r = 1 + r p(r)` with the polynomial of degree 5 that meets `(2^r - 1) / r` in Chebyshev's points, off by `5e-9`.
#[inline(always)]
fn power<S: Simd>(simd: S, shifted: S::f32s, r: S::f32s) -> S::f32s {
    const COEFFICIENTS: [f32; 6] =
        [1.546_144_7e-4, 1.339_086_7e-3, 9.618_057e-3, 5.550_357e-2, 2.402_265e-1, 6.931_472e-1];
    let splat = |number| simd.splat_f32s(number);
    let mut p = splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        p = simd.mul_add_e_f32s(p, r, splat(*coefficient));
    }
    let p = simd.mul_add_e_f32s(p, r, splat(1.0));
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
    let power = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
    simd.mul_f32s(p, simd.transmute_f32s_u32s(power))
}

/// `e^x` within 3 units in the last place; 0 where it is no normal number, and NaN stays.
#[inline(always)]
pub(super) fn exp_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LEAST: f32 = -87.336_54;
    const MOST: f32 = 88.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4]; // of few digits, the first
    let splat = |number| simd.splat_f32s(number);
    let bounded = simd.max_f32s(simd.min_f32s(x, splat(MOST)), splat(LEAST));
    let shifted = simd.mul_add_e_f32s(bounded, splat(LOG2_E), splat(ROUND));
    let negative = simd.sub_f32s(splat(ROUND), shifted);
    let r = LN_2.iter().fold(x, |r, part| simd.mul_add_e_f32s(negative, splat(*part), r));
    let result = power(simd, shifted, simd.mul_f32s(r, splat(LOG2_E)));
    simd.select_f32s(simd.less_than_f32s(x, splat(LEAST)), splat(0.0), result)
}

/// `e^x`, lane by lane.
#[inline(always)]
pub(super) fn exp_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::exp)
}

/// `2^x`, lane by lane.
#[inline(always)]
pub(super) fn exp2_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::exp2)
}

/// `ln(1 + x)` of numbers from 0 to 1, within 3 units in the last place.
///
/// `ln(1 + x) = 2 artanh(s)` with `s = x / (2 + x)`, at most 1/3, by the series of `artanh` up to `s^15`.
#[inline(always)]
pub(super) fn ln_1p_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const ODD: [f32; 7] = [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0];
    let splat = |number| simd.splat_f32s(number);
    let s = simd.div_f32s(x, simd.add_f32s(x, splat(2.0)));
    let square = simd.mul_f32s(s, s);
    let mut p = splat(2.0 / ODD[0]);
    for odd in &ODD[1..] {
        p = simd.mul_add_e_f32s(p, square, splat(2.0 / odd));
    }
    simd.mul_f32s(s, simd.mul_add_e_f32s(p, square, splat(2.0)))
}

/// `ln(1 + x)`, lane by lane.
#[inline(always)]
pub(super) fn ln_1p_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::ln_1p)
}

/// `e^x - 1` of numbers up to 0, within 4 units in the last place.
#[inline(always)]
pub(super) fn exp_m1_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Nearer to 0 the series `x + x^2/2! + .. + x^7/7!` is exact, and the difference is not.
    const NEAR: f32 = -0.35;
    let splat = |number| simd.splat_f32s(number);
    let mut p = splat(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0] {
        p = simd.mul_add_e_f32s(p, x, splat(coefficient));
    }
    let near = simd.mul_f32s(p, x);
    let far = simd.sub_f32s(exp_f32(simd, x), splat(1.0));
    simd.select_f32s(simd.less_than_f32s(x, splat(NEAR)), far, near)
}

/// `e^x - 1`, lane by lane.
#[inline(always)]
pub(super) fn exp_m1_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::exp_m1)
}

/// Sine and cosine, off by `1e-7`.
///
/// `x = n π/2 + r` with `|r| <= π/4`, and polynomials for `r` (Cephes, `sinf.c`); the last two bits of `n` say which of
/// them is which, and their signs.
#[inline(always)]
pub(super) fn sin_cos_f32<S: Simd>(simd: S, x: S::f32s) -> [S::f32s; 2] {
    /// Beyond it `n` has too many digits.
    const LARGE: f32 = 65_536.0;
    const HALF_PI: [f32; 3] = [1.570_312_5, 4.837_513e-4, 7.549_79e-8]; // of few digits, the first two
    const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
    const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
    let splat = |number| simd.splat_f32s(number);
    if simd.reduce_max_f32s(simd.abs_f32s(x)) > LARGE {
        return [lane_by_lane(x, f32::sin), lane_by_lane(x, f32::cos)];
    }
    let shifted = simd.mul_add_e_f32s(x, splat(FRAC_2_PI), splat(ROUND));
    let n = simd.sub_f32s(shifted, splat(ROUND));
    let negative = simd.neg_f32s(n);
    let r = HALF_PI.iter().fold(x, |r, part| simd.mul_add_e_f32s(negative, splat(*part), r));
    let square = simd.mul_f32s(r, r);
    let polynomial = |coefficients: [f32; 3]| {
        let [first, second, third] = coefficients.map(splat);
        simd.mul_add_e_f32s(simd.mul_add_e_f32s(first, square, second), square, third)
    };
    let sine = simd.mul_add_e_f32s(simd.mul_f32s(polynomial(SINE), square), r, r);
    let cosine = simd.mul_add_e_f32s(polynomial(COSINE), square, splat(-0.5));
    let cosine = simd.mul_add_e_f32s(cosine, square, splat(1.0));

    let quarter = simd.transmute_u32s_f32s(shifted);
    // Bit `bit` of `number` where the sign of a float is.
    let sign = |number, bit: u32| {
        let only = simd.and_u32s(number, simd.splat_u32s(1 << bit));
        simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(only, simd.splat_u32s(31 - bit)))
    };
    let swapped = simd.less_than_f32s(simd.or_f32s(sign(quarter, 0), splat(1.0)), splat(0.0));
    let of_sine = sign(quarter, 1);
    let of_cosine = sign(simd.add_u32s(quarter, simd.splat_u32s(1)), 1);
    [
        simd.xor_f32s(simd.select_f32s(swapped, cosine, sine), of_sine),
        simd.xor_f32s(simd.select_f32s(swapped, sine, cosine), of_cosine),
    ]
}

/// Sine and cosine, lane by lane.
#[inline(always)]
pub(super) fn sin_cos_f64<S: Simd>(_: S, x: S::f64s) -> [S::f64s; 2] {
    [lane_by_lane(x, f64::sin), lane_by_lane(x, f64::cos)]
}

#[inline(always)]
fn lane_by_lane<V: Pod, E: Pod>(mut x: V, function: impl Fn(E) -> E) -> V {
    for lane in bytemuck::cast_slice_mut::<V, E>(std::slice::from_mut(&mut x)) {
        *lane = function(*lane);
    }
    x
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> E::Vector<S> {
    let one = E::splat(simd, E::ONE);
    let zero = E::splat(simd, E::default());
    // Of the two, the exponential that does not overflow.
    let negative = E::lesser(simd, x, E::minus(simd, zero, x));
    let power = E::exp(simd, negative);
    let part = E::over(simd, one, E::plus(simd, one, power));
    E::if_less(simd, x, zero, E::times(simd, power, part), part)
}

/// `ln(1 + e^x)`, which overflows nowhere.
#[inline(always)]
pub(crate) fn softplus<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> E::Vector<S> {
    let zero = E::splat(simd, E::default());
    let negative = E::lesser(simd, x, E::minus(simd, zero, x));
    let rest = E::ln_1p(simd, E::exp(simd, negative));
    E::plus(simd, E::if_less(simd, zero, x, x, zero), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cpu::lanes::lanes;
    use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner};
    use pulp::WithSimd;

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

    fn on_every_processor<F: Function>(
        function: F,
        exact: fn(f64) -> f64,
        (from, to): (f64, f64),
        within: f64,
    ) {
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
}
