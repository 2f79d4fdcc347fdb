//! Exponentials, of vectors and of one number.
//!
//! They share their bounds, but neither their polynomials nor their roundings.

use super::{ROUND, lane_by_lane};
use pulp::Simd;
use std::f32::consts::LOG2_E;

/// Below this `e^x` is not a normal number, and 0 is returned.
const LEAST: f32 = -87.336_54;

/// Above this `e^x` is not finite; what kernels ask for is at most 0, so it only bounds wrong input.
const MOST: f32 = 88.0;

/// `ln 2` in two parts. The first has few digits.
const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

/// `e^x` of one number, within 2 units in the last place; 0 below -87.3. Without branches, so that loops over it become
/// vector code.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, then `2^n` through the exponent's bits and `e^r` by a polynomial of
/// degree 6 (Taylor's coefficients; the remainder is below `1.2e-7` of a unit).
#[inline(always)]
pub(crate) fn of_one_f32(x: f32) -> f32 {
    let bounded = if x < LEAST { LEAST } else { x }; // keeps NaN
    let bounded = if bounded > MOST { MOST } else { bounded };
    let shifted = bounded * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = bounded - n * LN_2[0] - n * LN_2[1];
    let mut p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // The low bits of `shifted` hold n; 127 + n is the exponent of 2^n, at least 1.
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < LEAST { 0.0 } else { p * power }
}

/// `2^x` within 2 units in the last place; 0 where it is no normal number, and NaN stays.
#[inline(always)]
pub(crate) fn exp2_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const LEAST_POWER: f32 = -126.0;
    const MOST_POWER: f32 = 127.0;
    let splat = |number| simd.splat_f32s(number);
    let bounded = simd.max_f32s(simd.min_f32s(x, splat(MOST_POWER)), splat(LEAST_POWER));
    let shifted = simd.add_f32s(bounded, splat(ROUND));
    let r = simd.sub_f32s(x, simd.sub_f32s(shifted, splat(ROUND)));
    simd.select_f32s(simd.less_than_f32s(x, splat(LEAST_POWER)), splat(0.0), power(simd, shifted, r))
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
pub(crate) fn exp_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
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
pub(crate) fn exp_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::exp)
}

/// `2^x`, lane by lane.
#[inline(always)]
pub(crate) fn exp2_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::exp2)
}

/// `e^x - 1` of numbers up to 0, within 4 units in the last place.
#[inline(always)]
pub(crate) fn exp_m1_f32<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
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
pub(crate) fn exp_m1_f64<S: Simd>(_: S, x: S::f64s) -> S::f64s {
    lane_by_lane(x, f64::exp_m1)
}
