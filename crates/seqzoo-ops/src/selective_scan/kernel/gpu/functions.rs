//! Functions of one number.

use cubecl::prelude::*;

#[cube]
pub(super) fn sigmoid<F: Float>(x: F) -> F {
    let one = F::new(1.0_f32);
    let small = (-x.abs()).exp();
    select(x < F::new(0.0_f32), small, one) / (one + small)
}

#[cube]
pub(super) fn silu<F: Float>(x: F) -> F {
    x * sigmoid::<F>(x)
}

/// `ln(1 + e^x)`, as `max(x, 0) + ln(1 + y)` with `y = e^-|x|`.
///
/// The logarithm is `2 artanh(s)` of `s = y / (2 + y)`, which is at most 1/3, by its series. A device's own logarithm
/// loses all digits near 1, and small steps are just there.
#[cube]
pub(super) fn softplus<F: Float>(x: F) -> F {
    let small = (-x.abs()).exp();
    let s = small / (F::new(2.0_f32) + small);
    let mut series = F::new(0.0_f32);
    #[unroll]
    for k in 0..TERMS {
        series = series * s * s + F::new(1.0_f32) / F::new(comptime!((2 * (TERMS - 1 - k) + 1) as f32));
    }
    x.max(F::new(0.0_f32)) + F::new(2.0_f32) * s * series
}

/// Terms of the series: enough for `f64`.
const TERMS: usize = 16;
