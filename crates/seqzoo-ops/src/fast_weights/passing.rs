//! The pass of tokens through layers with GELU between them, and the way back of an error.

use crate::activation::{exact_gelu, gelu_slope};
use burn::tensor::Tensor;

/// What comes out for `input`, where `layer` says what a layer makes of what goes into it.
pub(crate) fn answer<const D: usize>(
    input: Tensor<D>,
    depth: usize,
    layer: impl Fn(usize, Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    let first = layer(0, input);
    (1..depth).fold(first, |passed, index| layer(index, exact_gelu(passed)))
}

/// A pass whose way back is known.
pub(crate) struct Passed {
    /// What went into each layer, `[b, h, c, in]`.
    pub inputs: Vec<Tensor<4>>,
    /// What came out of the last one, `[b, h, c, out]`.
    pub answer: Tensor<4>,
    /// What came out of the others, before GELU.
    before_gelu: Vec<Tensor<4>>,
}

/// The gradient of the loss of every token, layer by layer: the outer product `input ⊗ error`.
pub(crate) struct Gradients {
    /// What goes into each layer, `[b, h, c, in]`.
    pub inputs: Vec<Tensor<4>>,
    /// The gradient with respect to what comes out of it, `[b, h, c, out]`.
    pub errors: Vec<Tensor<4>>,
}

impl Passed {
    /// As [`answer`], for tokens `[b, h, c, in]`.
    pub fn new(input: Tensor<4>, depth: usize, layer: impl Fn(usize, Tensor<4>) -> Tensor<4>) -> Self {
        let mut inputs = vec![input];
        let mut before_gelu = Vec::with_capacity(depth - 1);
        for index in 0..depth - 1 {
            let sum = layer(index, inputs[index].clone());
            inputs.push(exact_gelu(sum.clone()));
            before_gelu.push(sum);
        }
        let answer = layer(depth - 1, inputs[depth - 1].clone());
        Self { inputs, answer, before_gelu }
    }

    /// The gradients in all layers, of which `weights` are the matrices, for that with respect to the answer.
    pub fn gradients(self, error: Tensor<4>, weights: &[Tensor<4>]) -> Gradients {
        let mut errors = vec![error];
        for (before_gelu, next) in self.before_gelu.into_iter().zip(&weights[1..]).rev() {
            let last = errors[errors.len() - 1].clone();
            errors.push(last.matmul(next.clone().swap_dims(2, 3)) * gelu_slope(before_gelu));
        }
        errors.reverse();
        Gradients { inputs: self.inputs, errors }
    }
}
