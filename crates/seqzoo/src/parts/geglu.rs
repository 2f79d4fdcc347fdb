//! The feed-forward with a gate of `gelu`.

use super::{ProjectionInit, biased_projection, project, projection};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::gelu_approximate};

/// The gated feed-forward `y = W_down (gelu(W_gate x) ⊙ W_up x)`, with biases in all three or in none.
///
/// `gelu` is the approximation with `tanh`, as in Gemma.
///
/// Source: Shazeer 2020, <https://arxiv.org/abs/2002.05202> (eq. 6); the biases: transformers, `RecurrentGemmaMlp`.
#[derive(Module, Debug)]
pub struct GeGlu {
    /// `D` to the hidden width.
    pub gate: Linear,
    /// `D` to the hidden width.
    pub up: Linear,
    /// The hidden width to `D`.
    pub down: Linear,
}

impl GeGlu {
    /// A feed-forward of `hidden` channels.
    pub fn new(d_model: usize, hidden: usize, bias: bool, init: ProjectionInit, device: &Device) -> Self {
        let linear = if bias { biased_projection } else { projection };
        Self {
            gate: linear(d_model, hidden, init, device),
            up: linear(d_model, hidden, init, device),
            down: linear(hidden, d_model, init, device),
        }
    }

    /// `[.., D]` to `[.., D]`.
    #[track_caller]
    pub fn forward<const R: usize>(&self, input: Tensor<R>) -> Tensor<R> {
        project(&self.down, gelu_approximate(project(&self.gate, input.clone())) * project(&self.up, input))
    }
}
