//! Learned log decays with a time scale of their own per head.

use super::{ProjectionInit, TimeSteps, project, projection, split_heads};
use crate::ops::token_wise::pointwise::log_sigmoid;
use crate::ops::{Decay, Form, accumulator, to_dtype};
use crate::{ConfigError, Undecayed};
use burn::module::Module;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Device, Tensor, activation::sigmoid};

/// Rates are drawn above this where the published range begins at 0, whose logarithm is infinite.
const MIN_RATE: f64 = 1e-4;

/// The log decay of a token, at most 0, from a projection `x` of it: a rate `A` per head times a step that the token
/// chooses.
///
/// ```text
/// g = −A softplus(x + dt_bias)        A = exp(a_log)
/// ```
///
/// or, bounded by `lower_bound < 0`,
///
/// ```text
/// g = lower_bound · σ(A (x + dt_bias))
/// ```
///
/// It computes in `f32` or wider, and returns that.
///
/// Initially `A` is uniform in the range that the layer names, or 1 where the decay is bounded, and `softplus(dt_bias)`
/// log-uniform in `[0.001, 0.1]`, so that an untrained layer has heads which forget within tokens and within thousands.
///
/// Source: Gu & Dao 2023, <https://arxiv.org/abs/2312.00752> (sec. 3.6, the steps); Dao & Gu 2024,
/// <https://arxiv.org/abs/2405.21060> (one rate per head).
#[derive(Module, Debug)]
pub struct DecayGate {
    /// `ln A`, `[H]`.
    pub a_log: Undecayed<1>,
    /// `[H·K]` where every key channel has a decay of its own, `[H]` where a head has one.
    pub dt_bias: Undecayed<1>,
    lower_bound: Option<f64>,
}

impl DecayGate {
    /// A gate of `channels` decays for each of `heads` heads, with rates uniform between `rates` initially.
    pub(crate) fn new(heads: usize, channels: usize, rates: (f64, f64), device: &Device) -> Self {
        let rates = Initializer::Uniform { min: rates.0.max(MIN_RATE), max: rates.1 };
        let a_log = rates.init([heads], device).init_mapper(Tensor::log);
        let dt_bias = TimeSteps::PUBLISHED.biases(heads * channels, device);
        Self { a_log: a_log.into(), dt_bias: dt_bias.into(), lower_bound: None }
    }

    /// The same gate with log decays of at least `lower_bound`, and rates of 1 initially.
    pub(crate) fn bounded(self, layer: &str, lower_bound: f64, device: &Device) -> Result<Self, ConfigError> {
        ConfigError::unless(lower_bound.is_finite() && lower_bound < 0.0, layer, || {
            format!("lower_bound = {lower_bound}, but a finite number below 0 is wanted (-5 is usual)")
        })?;
        let a_log = Initializer::Zeros.init(self.a_log.lazy_shape(), device);
        Ok(Self { a_log: a_log.into(), lower_bound: Some(lower_bound), ..self })
    }

    /// `[B, T, H·K]` to log decays `[B, T, H, K]`.
    pub fn forward(&self, projected: Tensor<3>) -> Tensor<4> {
        let wide = accumulator(projected.dtype());
        let rates = to_dtype(self.a_log.val(), wide).exp();
        let steps = to_dtype(projected, wide) + to_dtype(self.dt_bias.val(), wide).unsqueeze();
        let [heads] = rates.dims();
        let (rates, steps) = (rates.reshape([1, 1, heads, 1]), split_heads(steps, heads));
        match self.lower_bound {
            // softplus(x) = −ln σ(−x), which overflows nowhere.
            None => log_sigmoid(steps.neg(), 1.0, None, Form::Auto) * rates,
            Some(bound) => sigmoid(steps * rates).mul_scalar(bound),
        }
    }
}

/// One decay per token and head, from a projection of the token.
#[derive(Module, Debug)]
pub struct ScalarDecay {
    /// `D` to `H`.
    pub projection: Linear,
    /// Makes a decay of it.
    pub gate: DecayGate,
}

impl ScalarDecay {
    /// Decays of `heads` heads, their rates uniform in (0, 16) initially.
    pub(crate) fn new(d_model: usize, heads: usize, init: ProjectionInit, device: &Device) -> Self {
        Self {
            projection: projection(d_model, heads, init, device),
            gate: DecayGate::new(heads, 1, (0.0, 16.0), device),
        }
    }

    /// `[B, T, D]` to log decays `[B, T, H]`.
    pub fn forward(&self, input: Tensor<3>) -> Decay {
        Decay::Scalar(self.gate.forward(project(&self.projection, input)).squeeze_dim(3))
    }
}
