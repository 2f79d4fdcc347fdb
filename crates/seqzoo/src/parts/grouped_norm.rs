//! Root-mean-square normalisation in groups of channels, with a gate.

use crate::ops::{accumulator, checks, to_dtype};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, activation::silu};

/// Gated root-mean-square normalisation over each of several groups of channels by itself.
///
/// ```text
/// y = γ ⊙ RMSNorm(x ⊙ silu(z))        the gate before the norm, as in Mamba-2
/// y = γ ⊙ RMSNorm(x) ⊙ silu(z)        the norm before the gate
/// ```
///
/// It computes in `f32` or wider and returns the dtype of its input.
///
/// Source: Dao & Gu 2024, <https://arxiv.org/abs/2405.21060> (sec. 7.2 and 8.2: a group per device).
#[derive(Module, Debug)]
pub struct GroupedRmsNorm {
    /// The scale `γ`, `[E]`, ones initially.
    pub gamma: Param<Tensor<1>>,
    groups: usize,
    epsilon: f64,
    norm_before_gate: bool,
}

impl GroupedRmsNorm {
    /// A norm over `groups` groups of `channels` channels in all, the gate before the norm or after it. `groups` divides
    /// `channels`.
    pub(crate) fn new(
        channels: usize,
        groups: usize,
        epsilon: f64,
        norm_before_gate: bool,
        device: &Device,
    ) -> Self {
        Self { gamma: Initializer::Ones.init([channels], device), groups, epsilon, norm_before_gate }
    }

    /// `input` and `gate`, both `[B, T, E]`, to `[B, T, E]`.
    ///
    /// # Panics
    ///
    /// If the input has other channels.
    #[track_caller]
    pub fn forward(&self, input: Tensor<3>, gate: Tensor<3>) -> Tensor<3> {
        let dtype = input.dtype();
        let wide = accumulator(dtype);
        let gamma = to_dtype(self.gamma.val(), wide);
        checks::channels("input", input.dims()[2], gamma.dims()[0]);
        let (input, gate) = (to_dtype(input, wide), silu(to_dtype(gate, wide)));
        let output = match self.norm_before_gate {
            true => self.normalised(input) * gate,
            false => self.normalised(input * gate),
        };
        to_dtype(output * gamma.unsqueeze(), dtype)
    }

    /// `input` divided by the root mean square of its group.
    fn normalised(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch, time, channels] = input.dims();
        let groups = input.reshape([batch, time, self.groups, channels / self.groups]);
        let root = groups.clone().square().mean_dim(3).add_scalar(self.epsilon).sqrt();
        (groups / root).reshape([batch, time, channels])
    }
}
