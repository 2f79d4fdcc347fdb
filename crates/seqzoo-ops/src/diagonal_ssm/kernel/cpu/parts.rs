//! Complex numbers in two parts, and the arithmetic of vectors of them.

use crate::kernel::cpu::lanes::Real;
use pulp::Simd;

/// Real and imaginary parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<T> {
    pub re: T,
    pub im: T,
}

impl<T> Parts<T> {
    /// The same of both parts.
    #[inline(always)]
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Parts<U> {
        Parts { re: change(self.re), im: change(self.im) }
    }
}

/// Complex numbers, one per lane.
type Vectors<S, E> = Parts<<E as Real>::Vector<S>>;

/// `a b`.
#[inline(always)]
pub(crate) fn times<S: Simd, E: Real>(simd: S, a: Vectors<S, E>, b: Vectors<S, E>) -> Vectors<S, E> {
    let times = |a, b| E::times(simd, a, b);
    Parts {
        re: E::minus(simd, times(a.re, b.re), times(a.im, b.im)),
        im: E::plus(simd, times(a.re, b.im), times(a.im, b.re)),
    }
}

/// `1 / a`.
#[inline(always)]
pub(crate) fn reciprocal<S: Simd, E: Real>(simd: S, a: Vectors<S, E>) -> Vectors<S, E> {
    let square = E::mul_add(simd, a.re, a.re, E::times(simd, a.im, a.im));
    let zero = E::splat(simd, E::default());
    let inverse = E::over(simd, E::splat(simd, E::ONE), square);
    Parts { re: E::times(simd, a.re, inverse), im: E::times(simd, E::minus(simd, zero, a.im), inverse) }
}

/// `a / b`, where the square of `b` may be too small for a float.
#[inline(always)]
pub(crate) fn over<S: Simd, E: Real>(simd: S, a: Vectors<S, E>, b: Vectors<S, E>) -> Vectors<S, E> {
    let zero = E::splat(simd, E::default());
    let absolute = b.map(|part| E::if_less(simd, part, zero, E::minus(simd, zero, part), part));
    let greater = E::if_less(simd, absolute.re, absolute.im, absolute.im, absolute.re);
    let scale = E::over(simd, E::splat(simd, E::ONE), greater);
    let unit = b.map(|part| E::times(simd, part, scale));
    let quotient = times::<S, E>(simd, a, reciprocal::<S, E>(simd, unit));
    quotient.map(|part| E::times(simd, part, scale))
}
