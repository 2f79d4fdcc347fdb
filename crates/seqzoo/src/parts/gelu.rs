//! An activation.

use burn::tensor::Tensor;
use burn::tensor::activation::gelu;
use std::f64::consts::SQRT_2;

/// `x Φ(x)`, with its own derivative: on some backends, Burn's `gelu` has that of the approximation by `tanh`.
pub(crate) fn exact_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if x.device().is_autodiff() {
        x.clone() * x.div_scalar(SQRT_2).erf().add_scalar(1.0).div_scalar(2.0)
    } else {
        gelu(x)
    }
}
