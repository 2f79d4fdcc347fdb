//! GELU and its slope.

use burn::tensor::Tensor;
use burn::tensor::activation::gelu;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// `x Φ(x)`, with its own derivative: on some backends, Burn's `gelu` has that of the approximation by `tanh`.
pub fn exact_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.device().is_autodiff() { x.clone() * normal_cdf(x) } else { gelu(x) }
}

/// The derivative of [`exact_gelu`], `Φ(x) + x φ(x)`.
pub(crate) fn gelu_slope<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let density = x.clone().square().mul_scalar(-0.5).exp().mul_scalar(1.0 / (2.0 * PI).sqrt());
    normal_cdf(x.clone()) + x * density
}

/// The probability `Φ(x)` that a standard normal number is below `x`. Multiplied, not divided by `√2`: the gradient of
/// Burn's `div_scalar` is rounded to `f32`.
fn normal_cdf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.mul_scalar(FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5)
}
