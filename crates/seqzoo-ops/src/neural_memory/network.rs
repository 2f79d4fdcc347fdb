//! The memory as a function of its weights: what it answers, and the gradient of its loss.

use crate::fast_weights::passing::{self, Gradients, Passed};
use burn::tensor::Tensor;

/// A product of matrices with GELU between them.
#[derive(Clone, Copy)]
pub(super) struct Network {
    /// Whether the input is added to the answer.
    pub residual: bool,
}

impl Network {
    /// What the memory answers to `input`, where `product` multiplies the input of a layer by its matrix.
    pub fn answer<const D: usize>(
        self,
        input: Tensor<D>,
        depth: usize,
        product: impl Fn(usize, Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        let answer = passing::answer(input.clone(), depth, product);
        if self.residual { answer + input } else { answer }
    }

    /// The gradients of `‖M(key) - value‖²` at `weights`, `[b, h, in, out]`, for tokens `[b, h, c, _]`.
    pub fn gradients(self, weights: &[Tensor<4>], key: Tensor<4>, value: Tensor<4>) -> Gradients {
        let product = |layer: usize, input: Tensor<4>| input.matmul(weights[layer].clone());
        let passed = Passed::new(key.clone(), weights.len(), product);
        let answer = passed.answer.clone();
        let answer = if self.residual { answer + key } else { answer };
        passed.gradients((answer - value).mul_scalar(2.0), weights)
    }
}
