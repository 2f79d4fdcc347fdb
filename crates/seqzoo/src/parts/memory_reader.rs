//! Asking a neural memory without writing it.

use super::memory_heads::unit;
use super::{MemoryHeads, ProjectionInit, RmsNorm, join_heads, project, projection, split_heads};
use crate::ops::neural_memory::retrieve;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::silu};

/// Asks a neural memory, which stays as it is.
///
/// ```text
/// h = W_h RMSNorm(M(q))        q = silu(W_r x), divided by √(Σ x² + 1e-6)
/// ```
///
/// The norm works on each head by itself.
#[derive(Module, Debug)]
pub struct MemoryReader {
    /// `D` to `H·K`.
    pub query: Linear,
    /// The norm of each head's answer.
    pub norm: RmsNorm,
    /// `H·V` to `D`.
    pub output: Linear,
    heads: usize,
}

impl MemoryReader {
    /// A reader of the memory of `memory`.
    pub(crate) fn new(memory: &MemoryHeads, epsilon: f64, init: ProjectionInit, device: &Device) -> Self {
        let (d_model, width, heads) = (memory.d_model(), memory.width(), memory.heads());
        Self {
            query: projection(d_model, width, init, device),
            norm: RmsNorm::new(width / heads, epsilon, device),
            output: init.output_projection(width, d_model, device),
            heads,
        }
    }

    /// What the memory of these weights, `[B, H, in, out]` for every layer, answers to tokens `[B, T, D]`; `[B, T, D]`.
    pub(crate) fn forward(&self, input: Tensor<3>, weights: &[Tensor<4>], residual: bool) -> Tensor<3> {
        let query = unit(split_heads(silu(project(&self.query, input)), self.heads));
        project(&self.output, join_heads(self.norm.forward(retrieve(query, weights, residual))))
    }
}
