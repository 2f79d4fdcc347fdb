//! The memory as a function of its weights: what it answers, and the gradient of its loss.

use crate::activation::{exact_gelu, gelu_slope};
use burn::tensor::Tensor;

/// A product of matrices with GELU between them.
#[derive(Clone, Copy)]
pub(super) struct Network {
    /// Whether the input is added to the answer.
    pub residual: bool,
}

/// The gradient of the loss of every token, layer by layer: the outer product `input ⊗ error`.
pub(super) struct Gradients {
    /// What goes into each layer, `[b, h, c, in]`.
    pub inputs: Vec<Tensor<4>>,
    /// The gradient with respect to what comes out of its matrix, `[b, h, c, out]`.
    pub errors: Vec<Tensor<4>>,
}

impl Network {
    /// What the memory answers to `input`, where `product` multiplies the input of a layer by its matrix.
    pub fn answer<const D: usize>(
        self,
        input: Tensor<D>,
        depth: usize,
        product: impl Fn(usize, Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let mut passed = product(0, input.clone());
        for layer in 1..depth {
            passed = product(layer, exact_gelu(passed));
        }
        if self.residual { passed + input } else { passed }
    }

    /// The gradients of `‖M(key) - value‖²` at `weights`, `[b, h, in, out]`, for tokens `[b, h, c, _]`.
    pub fn gradients(self, weights: &[Tensor<4>], key: Tensor<4>, value: Tensor<4>) -> Gradients {
        let last = weights.len() - 1;
        let mut inputs = vec![key.clone()];
        let mut before_gelu = Vec::with_capacity(last);
        for layer in 0..last {
            let sum = inputs[layer].clone().matmul(weights[layer].clone());
            inputs.push(exact_gelu(sum.clone()));
            before_gelu.push(sum);
        }
        let answer = inputs[last].clone().matmul(weights[last].clone());
        let answer = if self.residual { answer + key } else { answer };

        let mut errors = vec![(answer - value).mul_scalar(2.0)];
        for layer in (0..last).rev() {
            let error = errors[last - layer - 1].clone().matmul(weights[layer + 1].clone().swap_dims(2, 3));
            errors.push(error * gelu_slope(before_gelu[layer].clone()));
        }
        errors.reverse();
        Gradients { inputs, errors }
    }
}
