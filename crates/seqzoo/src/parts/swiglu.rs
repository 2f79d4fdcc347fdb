//! The gated feed-forward.

use super::{ProjectionInit, project, project_all, projection};
use crate::ops::Form;
use crate::ops::token_wise::pointwise::swiglu;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

/// The gated feed-forward `y = W_down (silu(W_gate x) ⊙ W_up x)`, without biases.
///
/// Source: Shazeer 2020, <https://arxiv.org/abs/2002.05202> (eq. 6).
#[derive(Module, Debug)]
pub struct SwiGlu {
    /// `D` to the hidden width.
    pub gate: Linear,
    /// `D` to the hidden width.
    pub up: Linear,
    /// The hidden width to `D`.
    pub down: Linear,
}

impl SwiGlu {
    /// A feed-forward of `hidden` channels.
    pub fn new(d_model: usize, hidden: usize, init: ProjectionInit, device: &Device) -> Self {
        Self {
            gate: projection(d_model, hidden, init, device),
            up: projection(d_model, hidden, init, device),
            down: projection(hidden, d_model, init, device),
        }
    }

    /// The usual hidden width: two thirds of `4 · d_model`, rounded up to a multiple of 256; `usize::MAX` where that
    /// is too large for it.
    pub fn usual_hidden(d_model: usize) -> usize {
        let two_thirds = d_model.checked_mul(8).map(|wide| wide / 3);
        two_thirds.and_then(|hidden| hidden.checked_next_multiple_of(256)).unwrap_or(usize::MAX)
    }

    /// `[.., D]` to `[.., D]`.
    #[track_caller]
    pub fn forward<const R: usize>(&self, input: Tensor<R>) -> Tensor<R> {
        let [gate, up] = project_all([&self.gate, &self.up], input);
        project(&self.down, swiglu(gate, up, Form::Auto))
    }
}
