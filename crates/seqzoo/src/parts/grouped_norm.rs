//! Root-mean-square normalisation in groups of channels, with a gate.

use super::GateActivation;
use crate::ops::token_wise::pointwise::swiglu;
use crate::ops::token_wise::rms_norm::{RmsNormOptions, rms_norm};
use crate::ops::{Form, accumulator, checks, to_dtype};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

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
        let (input, gate) = (to_dtype(input, wide), to_dtype(gate, wide));
        let output = match self.norm_before_gate {
            true => self.normalised(input, gamma, Some((gate, GateActivation::Silu))),
            false => self.normalised(swiglu(gate, input, Form::Auto), gamma, None),
        };
        to_dtype(output, dtype)
    }

    /// `input` divided by the root mean square of its group, times `γ`, and then the gate, if it comes here.
    fn normalised(
        &self,
        input: Tensor<3>,
        gamma: Tensor<1>,
        gate: Option<(Tensor<3>, GateActivation)>,
    ) -> Tensor<3> {
        if self.groups == 1 {
            return rms_norm(input, gamma, RmsNormOptions { epsilon: self.epsilon, gate, form: Form::Auto });
        }
        let [batch, time, channels] = input.dims();
        let width = channels / self.groups;
        let split = |tensor: Tensor<3>| tensor.reshape([batch, time, self.groups, width]);
        let gate = gate.map(|(gate, activation)| (split(gate), activation));
        let options = RmsNormOptions { epsilon: self.epsilon, gate, form: Form::Auto };
        let ones = Tensor::ones([width], (&input.device(), gamma.dtype()));
        // Every group has a part of `γ`.
        let normed = rms_norm(split(input), ones, options).reshape([batch, time, channels]);
        normed * gamma.unsqueeze()
    }
}
