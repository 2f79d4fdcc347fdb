//! What follows a state space in S4 and S4D.

use super::{ProjectionInit, biased_projection, exact_gelu, project};
use crate::ConfigError;
use crate::config::check_channels;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::activation::glu;
use burn::tensor::{Device, Tensor};

/// The way out of a state space: a skip connection, an activation, and a gated projection.
///
/// ```text
/// y = a ⊙ σ(b)        [a, b] = W gelu(s + D ⊙ x) + c
/// ```
///
/// for what the state space reads, `s`, of the input `x`.
///
/// Source: Gu et al. 2021, <https://arxiv.org/abs/2111.00396> (sec. 3.4), with the gate of the authors' implementation.
#[derive(Module, Debug)]
pub struct GluOutput {
    /// `D`, `[D]`, normal initially.
    pub skip: Param<Tensor<1>>,
    /// `W` and `c`: `D` to `2·D`.
    pub projection: Linear,
}

impl GluOutput {
    /// For `channels` channels of `layer`.
    pub(crate) fn try_init(
        layer: &str,
        channels: usize,
        initializer: ProjectionInit,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        check_channels(layer, "d_model", channels)?;
        initializer.check(layer)?;
        Ok(Self {
            skip: Initializer::Normal { mean: 0.0, std: 1.0 }.init([channels], device),
            projection: biased_projection(channels, 2 * channels, initializer, device),
        })
    }

    /// `[B, T, D]`, what the state space read, and the input of it, `[B, T, D]`, to `[B, T, D]`.
    pub fn forward(&self, read: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
        let skipped = input * self.skip.val().unsqueeze();
        glu(project(&self.projection, exact_gelu(read + skipped)), 2)
    }
}
