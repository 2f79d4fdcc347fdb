//! The gates of a neural memory.

use super::{ProjectionInit, project, projection};
use crate::ConfigError;
use crate::ops::neural_memory::Gates;
use crate::ops::{accumulator, to_dtype};
use burn::module::Module;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor, activation::sigmoid};

/// How much of the weights an untrained gate forgets per token.
const FORGET: f64 = 0.01;

/// How much of the momentum an untrained gate keeps.
const MOMENTUM: f64 = 0.5;

/// What the steps of a chunk come to with untrained gates. Were all along one key of unit length, `2 · 0.25 / (1 − 0.5)`
/// is 1, half of what is safe for a linear memory.
const CHUNK_STEP: f64 = 0.25;

/// The gates of every token and head, from projections of the token.
///
/// ```text
/// α = σ(W_α x + b_α)        η = σ(W_η x + b_η)        θ = max_step · σ(W_θ x + b_θ)
/// ```
///
/// The biases set what an untrained layer does: it forgets 1 % of its weights per token, keeps half of its momentum, and
/// the steps of a chunk are a quarter in all, but none is more than `max_step / 2`. Tokens that are all the same then do
/// not make a linear memory diverge.
///
/// It computes in `f32` or wider.
#[derive(Module, Debug)]
pub struct MemoryGates {
    /// `D` to `H`: `α`. None: nothing is forgotten.
    pub forget: Option<Linear>,
    /// `D` to `H`: `η`. None: there is no momentum.
    pub momentum: Option<Linear>,
    /// `D` to `H`: `θ`.
    pub step: Linear,
    max_step: f64,
}

impl MemoryGates {
    /// Gates of `heads` heads with chunks of `chunk` tokens.
    pub(crate) fn try_init(
        layer: &str,
        [d_model, heads]: [usize; 2],
        chunk: usize,
        [forgetting, momentum]: [bool; 2],
        max_step: f64,
        init: ProjectionInit,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        ConfigError::unless(max_step.is_finite() && max_step > 0.0, layer, || {
            format!("max_step = {max_step}, but a finite number above 0 is wanted")
        })?;
        let gate = |share: f64| {
            let bias = Initializer::Constant { value: (share / (1.0 - share)).ln() };
            let linear = projection(d_model, heads, init, device);
            Linear { bias: Some(bias.init([heads], device)), ..linear }
        };
        Ok(Self {
            forget: forgetting.then(|| gate(FORGET)),
            momentum: momentum.then(|| gate(MOMENTUM)),
            step: gate((CHUNK_STEP / chunk as f64 / max_step).min(0.5)),
            max_step,
        })
    }

    /// The gates of tokens `[B, T, D]`.
    pub fn forward(&self, input: Tensor<3>) -> Gates {
        let wide = accumulator(input.dtype());
        let gate = |linear: &Linear| sigmoid(to_dtype(project(linear, input.clone()), wide));
        let step = gate(&self.step).mul_scalar(self.max_step);
        let optional = |linear: &Option<Linear>| linear.as_ref().map_or_else(|| step.zeros_like(), gate);
        Gates { forget: optional(&self.forget), momentum: optional(&self.momentum), step }
    }
}
