//! The exponential function without branches, so that loops over it become vector code.

/// Below this the result is not a normal number, and 0 is returned.
const LEAST: f32 = -87.336_54;

/// Above this the result is not finite; log decays are at most 0, so it only bounds wrong input.
const MOST: f32 = 88.0;

/// `e^x` within 2 units in the last place; 0 below -87.3.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, then `2^n` through the exponent's bits and `e^r` by a polynomial of
/// degree 6 (Taylor's coefficients; the remainder is below `1.2e-7` of a unit).
#[inline(always)]
pub(crate) fn of_f32(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer in the low bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x < LEAST { LEAST } else { x }; // keeps NaN
    let bounded = if bounded > MOST { MOST } else { bounded };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = bounded - n * LN2_HIGH - n * LN2_LOW;
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

#[cfg(test)]
mod tests {
    use super::of_f32;

    #[test]
    fn agrees_with_the_exact_exponential() {
        for step in 0..=873_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let error = (f64::from(of_f32(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "e^{x} is off by {error:e}");
        }
        assert_eq!(of_f32(0.0), 1.0);
    }

    #[test]
    fn forgets_everything_far_below_zero_and_keeps_what_is_no_number() {
        assert_eq!([-88.0, -1e30, f32::NEG_INFINITY].map(of_f32), [0.0; 3]);
        assert!(of_f32(f32::NAN).is_nan());
        assert!(of_f32(1e30).is_finite());
    }
}
