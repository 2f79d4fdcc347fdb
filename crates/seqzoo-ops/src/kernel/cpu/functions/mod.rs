//! Functions that no processor has: of vectors, and the exponential of one number, too.

pub(super) mod exponential;
pub(crate) mod normal;
#[cfg(test)]
mod tests;

use super::lanes::Real;
use bytemuck::Pod;
use pulp::Simd;
use std::f32::consts::FRAC_2_PI;

/// Adding it rounds to an integer, which is in the low bits then: 1.5 · 2^23.
const ROUND: f32 = 12_582_912.0;

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
