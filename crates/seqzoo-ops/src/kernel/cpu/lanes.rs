//! The two element types of the CPU kernels and their vectors on the processor at hand.

use bytemuck::Pod;
use pulp::Simd;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Sub};

/// An element of a CPU kernel: `f32` or `f64`.
pub(crate) trait Real:
    Pod
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + MulAssign
    + 'static
{
    /// A vector register of `S`.
    type Vector<S: Simd>: Copy;

    /// One.
    const ONE: Self;

    /// `number` in this type.
    fn from_f64(number: f64) -> Self;

    /// The number in `f64`.
    fn into_f64(self) -> f64;

    /// The exponential of a number that is at most 0; see [`functions`](super::functions).
    fn exponential(self) -> Self;

    /// The square root.
    fn root(self) -> Self;

    /// `self · b + c`, with one rounding where the vectors of `S` round so.
    fn fused<S: Simd>(self, b: Self, c: Self) -> Self;

    /// `value` in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a · b + c`, with one rounding where the processor can.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// `a · b`.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a - b`.
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// `a / b`.
    fn over<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// The lesser of `a` and `b`.
    fn lesser<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;

    /// Lanes of `yes` where `a < b`, of `no` elsewhere.
    fn if_less<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        yes: Self::Vector<S>,
        no: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// `e^x`; see [`functions`](super::functions).
    fn exp<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;

    /// `2^x`; see [`functions`](super::functions).
    fn exp2<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;

    /// `ln(1 + x)` of numbers from 0 to 1; see [`functions`](super::functions).
    fn ln_1p<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;

    /// `e^x - 1` of numbers up to 0; see [`functions`](super::functions).
    fn exp_m1<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;

    /// Sine and cosine; see [`functions`](super::functions).
    fn sin_cos<S: Simd>(simd: S, x: Self::Vector<S>) -> [Self::Vector<S>; 2];

    /// The first lanes from `numbers`, which may be fewer than lanes; zeros in the rest.
    fn load<S: Simd>(simd: S, numbers: &[Self]) -> Self::Vector<S>;

    /// The sum of all lanes.
    fn sum<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;

    /// The whole vectors at the front of `numbers`.
    fn vectors<S: Simd>(numbers: &[Self]) -> &[Self::Vector<S>];

    /// The whole vectors at the front of `numbers`.
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [Self::Vector<S>];
}

/// Elements in one vector register of `S`.
pub(crate) const fn lanes<S: Simd, E: Real>() -> usize {
    size_of::<E::Vector<S>>() / size_of::<E>()
}

macro_rules! real {
    ($type:ident, $vector:ident, $splat:ident, $mul_add:ident, $mul:ident, $add:ident, $sub:ident, $div:ident,
     $min:ident, $less:ident, $select:ident, $load:ident, $sum:ident,
     $vectors:ident, $vectors_mut:ident, $exponential:path, $exp:path, $exp2:path, $ln_1p:path,
     $exp_m1:path, $sin_cos:path) => {
        impl Real for $type {
            type Vector<S: Simd> = S::$vector;

            const ONE: Self = 1.0;

            fn from_f64(number: f64) -> Self {
                number as Self
            }

            fn into_f64(self) -> f64 {
                self.into()
            }

            #[inline(always)]
            fn exponential(self) -> Self {
                $exponential(self)
            }

            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }

            #[inline(always)]
            fn fused<S: Simd>(self, b: Self, c: Self) -> Self {
                // Without an instruction for it this is a call of the standard library, far slower.
                if S::IS_SCALAR || cfg!(target_family = "wasm") { self * b + c } else { self.mul_add(b, c) }
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }

            #[inline(always)]
            fn over<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$div(a, b)
            }

            #[inline(always)]
            fn lesser<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$min(a, b)
            }

            #[inline(always)]
            fn if_less<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                yes: S::$vector,
                no: S::$vector,
            ) -> S::$vector {
                simd.$select(simd.$less(a, b), yes, no)
            }

            #[inline(always)]
            fn exp<S: Simd>(simd: S, x: S::$vector) -> S::$vector {
                $exp(simd, x)
            }

            #[inline(always)]
            fn exp2<S: Simd>(simd: S, x: S::$vector) -> S::$vector {
                $exp2(simd, x)
            }

            #[inline(always)]
            fn ln_1p<S: Simd>(simd: S, x: S::$vector) -> S::$vector {
                $ln_1p(simd, x)
            }

            #[inline(always)]
            fn exp_m1<S: Simd>(simd: S, x: S::$vector) -> S::$vector {
                $exp_m1(simd, x)
            }

            #[inline(always)]
            fn sin_cos<S: Simd>(simd: S, x: S::$vector) -> [S::$vector; 2] {
                $sin_cos(simd, x)
            }

            #[inline(always)]
            fn load<S: Simd>(simd: S, numbers: &[Self]) -> S::$vector {
                simd.$load(numbers)
            }

            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }

            #[inline(always)]
            fn vectors<S: Simd>(numbers: &[Self]) -> &[S::$vector] {
                S::$vectors(numbers).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(numbers).0
            }
        }
    };
}

real!(
    f32,
    f32s,
    splat_f32s,
    mul_add_e_f32s,
    mul_f32s,
    add_f32s,
    sub_f32s,
    div_f32s,
    min_f32s,
    less_than_f32s,
    select_f32s,
    partial_load_f32s,
    reduce_sum_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    super::functions::exponential::of_one_f32,
    super::functions::exponential::exp_f32,
    super::functions::exponential::exp2_f32,
    super::functions::ln_1p_f32,
    super::functions::exponential::exp_m1_f32,
    super::functions::sin_cos_f32
);
real!(
    f64,
    f64s,
    splat_f64s,
    mul_add_e_f64s,
    mul_f64s,
    add_f64s,
    sub_f64s,
    div_f64s,
    min_f64s,
    less_than_f64s,
    select_f64s,
    partial_load_f64s,
    reduce_sum_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    f64::exp,
    super::functions::exponential::exp_f64,
    super::functions::exponential::exp2_f64,
    super::functions::ln_1p_f64,
    super::functions::exponential::exp_m1_f64,
    super::functions::sin_cos_f64
);
