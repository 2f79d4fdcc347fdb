//! Logits to losses, and to the gradient of their sum, in one place: a position at a time.

use crate::cross_entropy::problem::Rule;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::rows::lanes_of;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Logits below which the threads are not worth waking.
const FEW: usize = 1 << 14;

/// Vectors that are summed in their own precision; sums of them are added in `f64`.
const SUMMED: usize = 32;

/// All positions of a block.
pub(super) struct Losses<'a, E> {
    /// `[r, v]`; with `factors`, their gradient in the end.
    pub logits: &'a mut [E],
    pub losses: &'a mut [E],
    pub bias: Option<&'a [E]>,
    /// Below 0 where a position does not count.
    pub classes: &'a [E],
    pub factors: Option<&'a [E]>,
    pub rule: &'a Rule,
}

impl<E: Real> WithSimd for Losses<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Self { logits, losses, bias, classes, factors, rule } = self;
        let few = logits.len() < FEW;
        let count = logits.len() / losses.len().max(1);
        let scratch = || Buffer::new(count.next_multiple_of(lanes::<S, E>()));
        let work = |scratch: &mut Buffer<E>, (index, (logits, loss)): (usize, (&mut [E], &mut E))| {
            let factor = factors.map(|factors| factors[index]);
            *loss = vectorized(simd, Position { logits, bias, class: classes[index], factor, rule, scratch });
        };
        if few {
            let mut scratch = scratch();
            let positions = logits.chunks_exact_mut(count.max(1)).zip(losses).enumerate();
            positions.for_each(|position| work(&mut scratch, position));
        } else {
            let positions = logits.par_chunks_exact_mut(count).zip(losses).enumerate();
            positions.for_each_init(scratch, work);
        }
    }
}

/// One position.
struct Position<'a, E> {
    logits: &'a mut [E],
    bias: Option<&'a [E]>,
    class: E,
    /// Of the loss in the sum whose gradient is wanted, if one is.
    factor: Option<E>,
    rule: &'a Rule,
    /// Room for the logits in whole vectors.
    scratch: &'a mut Buffer<E>,
}

impl<E: Real> WithSimd for Position<'_, E> {
    type Output = E;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> E {
        let Self { logits, bias, class, factor, rule, scratch } = self;
        if class < E::default() {
            if factor.is_some() {
                logits.fill(E::default());
            }
            return E::default();
        }
        let (count, class) = (logits.len(), class.into_f64() as usize);
        complete::<S, E>(simd, logits, bias, rule.cap, scratch);
        let mean =
            if rule.smoothing > 0.0 { total::<S, E>(simd, scratch, |x| x) / count as f64 } else { 0.0 };
        // Beyond the last class: neither the largest, nor in the sum of exponentials.
        scratch[count..].fill(E::from_f64(f64::NEG_INFINITY));
        let largest = largest::<S, E>(simd, scratch);
        let top = E::splat(simd, largest);
        let sum = total::<S, E>(simd, scratch, |x| E::exp(simd, E::minus(simd, x, top)));

        let (largest, said) = (largest.into_f64(), scratch[class].into_f64());
        let normaliser = largest + sum.ln(); // log Σ exp
        let mut loss = sum.ln() - (1.0 - rule.smoothing) * (said - largest);
        if rule.smoothing > 0.0 {
            loss -= rule.smoothing * (mean - largest);
        }
        if rule.z > 0.0 {
            loss += rule.z * normaliser * normaliser;
        }
        if let Some(factor) = factor {
            let factor = factor.into_f64();
            let slope = if rule.z > 0.0 { 1.0 + 2.0 * rule.z * normaliser } else { 1.0 };
            let gradient = Gradient {
                of_power: E::from_f64(factor * slope / sum),
                even: E::from_f64(-factor * rule.smoothing / count as f64),
                of_class: E::from_f64(-factor * (1.0 - rule.smoothing)),
                top,
                cap: rule.cap,
            };
            gradient.write::<S>(simd, scratch, class, logits);
        }
        E::from_f64(loss)
    }
}

/// The logits in whole vectors, with bias and cap; zeros beyond the last class.
#[inline(always)]
fn complete<S: Simd, E: Real>(simd: S, logits: &[E], bias: Option<&[E]>, cap: Option<f64>, to: &mut [E]) {
    let whole = logits.len() / lanes::<S, E>();
    let at = |numbers: &[E], index: usize| match index < whole {
        true => E::vectors::<S>(numbers)[index],
        false => E::load(simd, &numbers[whole * lanes::<S, E>()..]),
    };
    for (index, to) in E::vectors_mut::<S>(to).iter_mut().enumerate() {
        let mut logit = at(logits, index);
        if let Some(bias) = bias {
            logit = E::plus(simd, logit, at(bias, index));
        }
        if let Some(cap) = cap {
            let (cap, inverse) = (E::splat(simd, E::from_f64(cap)), E::splat(simd, E::from_f64(1.0 / cap)));
            logit = E::times(simd, cap, tanh::<S, E>(simd, E::times(simd, logit, inverse)));
        }
        *to = logit;
    }
}

/// `tanh(x) = -m / (2 + m)` with `m = e^(-2|x|) - 1`, and the sign of `x`.
#[inline(always)]
fn tanh<S: Simd, E: Real>(simd: S, x: E::Vector<S>) -> E::Vector<S> {
    let (zero, two) = (E::splat(simd, E::default()), E::splat(simd, E::from_f64(2.0)));
    let negative = E::lesser(simd, x, E::minus(simd, zero, x)); // -|x|
    let m = E::exp_m1(simd, E::times(simd, two, negative));
    let size = E::over(simd, m, E::plus(simd, two, m)); // -tanh |x|
    E::if_less(simd, x, zero, size, E::minus(simd, zero, size))
}

/// The largest of all numbers.
#[inline(always)]
fn largest<S: Simd, E: Real>(simd: S, numbers: &[E]) -> E {
    let vectors = E::vectors::<S>(numbers);
    let mut most = vectors[0];
    for vector in &vectors[1..] {
        most = E::if_less(simd, most, *vector, *vector, most);
    }
    let most = [most];
    let lanes = lanes_of::<S, E>(&most);
    lanes.iter().fold(lanes[0], |most, lane| if most < *lane { *lane } else { most })
}

/// The sum of a function of all numbers.
#[inline(always)]
fn total<S: Simd, E: Real>(simd: S, numbers: &[E], function: impl Fn(E::Vector<S>) -> E::Vector<S>) -> f64 {
    let mut total = 0.0;
    for vectors in E::vectors::<S>(numbers).chunks(SUMMED) {
        let mut sum = E::splat(simd, E::default());
        for vector in vectors {
            sum = E::plus(simd, sum, function(*vector));
        }
        total += E::sum(simd, sum).into_f64();
    }
    total
}

/// The gradient of the logits of a position: `e^(l - top)` times a number, the same number for all, and one for the class.
struct Gradient<V, E> {
    of_power: E,
    even: E,
    of_class: E,
    top: V,
    cap: Option<f64>,
}

impl<V: Copy, E: Real> Gradient<V, E> {
    #[inline(always)]
    fn write<S: Simd>(self, simd: S, logits: &[E], class: usize, to: &mut [E])
    where
        E: Real<Vector<S> = V>,
    {
        let Self { of_power, even, of_class, top, cap } = self;
        let one = E::splat(simd, E::ONE);
        // tanh' = 1 - tanh²
        let inverse = cap.map(|cap| E::splat(simd, E::from_f64(1.0 / cap)));
        let negative = E::splat(simd, E::from_f64(-1.0));
        let slope = |logit| {
            inverse.map(|inverse| {
                let bounded = E::times(simd, logit, inverse);
                E::mul_add(simd, E::times(simd, negative, bounded), bounded, one)
            })
        };
        let at = |logit| {
            let power = E::exp(simd, E::minus(simd, logit, top));
            let gradient = E::mul_add(simd, power, E::splat(simd, of_power), E::splat(simd, even));
            slope(logit).map_or(gradient, |slope| E::times(simd, gradient, slope))
        };
        let whole = to.len() / lanes::<S, E>();
        let vectors = E::vectors::<S>(logits);
        for (to, logit) in E::vectors_mut::<S>(to).iter_mut().zip(vectors) {
            *to = at(*logit);
        }
        let rest = &mut to[whole * lanes::<S, E>()..];
        if !rest.is_empty() {
            let last = [at(vectors[whole])];
            rest.copy_from_slice(&lanes_of::<S, E>(&last)[..rest.len()]);
        }
        let mut owed = of_class;
        if let Some(cap) = cap {
            let bounded = logits[class].into_f64() / cap;
            owed *= E::from_f64(1.0 - bounded * bounded);
        }
        to[class] += owed;
    }
}
