//! How fast inner models of test-time training learn.

use super::{ProjectionInit, project, projection};
use crate::ConfigError;
use crate::ops::ttt::Steps;
use crate::ops::{accumulator, to_dtype};
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Int, Tensor, activation::sigmoid};

/// The steps of every token, from a projection of the token and its place `i` in its chunk.
///
/// ```text
/// λ = rate · σ(W_λ x + b_λ)        of the token that writes, per head
/// η = max(0, 1/(i+1) + p_i)        of the token that reads
/// ```
///
/// The bias `b` and the learned `p` are zero initially: a token reads the weights after a step along the *mean* of the
/// gradients of its chunk up to itself, half of `rate` long. It computes in `f32` or wider.
///
/// Source: Sun et al. 2024, <https://arxiv.org/abs/2407.04620> (sec. 2.7); `η` is in the authors' programs.
#[derive(Module, Debug)]
pub struct LearningRates {
    /// `D` to `H`: `λ`.
    pub token: Linear,
    /// `p`, `[C]`: what is added to the reciprocals of the places in a chunk.
    pub place: Param<Tensor<1>>,
    rate: f64,
}

impl LearningRates {
    /// Rates of `heads` heads up to `rate`, in chunks of `chunk` tokens.
    pub(crate) fn try_init(
        layer: &str,
        [d_model, heads]: [usize; 2],
        chunk: usize,
        rate: f64,
        init: ProjectionInit,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        ConfigError::unless(rate.is_finite() && rate > 0.0, layer, || {
            format!("base_lr makes steps of {rate}, but a finite number above 0 is wanted")
        })?;
        let linear = projection(d_model, heads, init, device);
        Ok(Self {
            token: Linear { bias: Some(Initializer::Zeros.init([heads], device)), ..linear },
            place: Initializer::Zeros.init([chunk], device),
            rate,
        })
    }

    /// The steps of tokens `[B, T, D]` at these places in their chunks, `[B, T]`.
    pub fn forward(&self, input: Tensor<3>, places: &Tensor<2, Int>) -> Steps {
        let wide = accumulator(input.dtype());
        let write = sigmoid(to_dtype(project(&self.token, input), wide)).mul_scalar(self.rate);
        let learned = to_dtype(self.place.val(), wide);
        let reciprocals: Vec<f64> = (1..=learned.dims()[0]).map(|tokens| 1.0 / tokens as f64).collect();
        let reciprocals = Tensor::from_data(reciprocals.as_slice(), (&learned.device(), wide));
        let [batch, time] = places.dims();
        let read = (learned + reciprocals).clamp_min(0.0).select(0, places.clone().reshape([batch * time]));
        Steps { read: read.reshape([batch, time, 1]), write: Some(write) }
    }
}
