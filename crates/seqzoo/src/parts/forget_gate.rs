//! Forget gates that never forget faster than a bound.

use crate::ConfigError;
use burn::tensor::{Tensor, activation::log_sigmoid, activation::sigmoid};

/// A forget gate with a lower bound: `f = γ + (1 − γ) σ(x)`.
///
/// In a model of several layers `γ` grows with depth, so that upper layers remember longer: the published models learn
/// a vector `p_l` per layer, and layer `l` has `γ = Σ_{i ≤ l} softmax(p)_i − softmax(p)_0`, which is 0 in the first one.
///
/// Source: Qin et al. 2023, <https://arxiv.org/abs/2311.04823> (sec. 3.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForgetGate {
    lower_bound: f64,
}

impl ForgetGate {
    pub fn try_new(layer: &str, lower_bound: f64) -> Result<Self, ConfigError> {
        // Below 1 in `f32`, too: a gate of 1 writes nothing.
        ConfigError::unless(lower_bound >= 0.0 && (lower_bound as f32) < 1.0, layer, || {
            format!("lower_bound = {lower_bound}, but a number from 0 to below 1 is wanted")
        })?;
        Ok(Self { lower_bound })
    }

    /// `f`.
    pub fn factor<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.lower_bound {
            0.0 => sigmoid(x),
            bound => sigmoid(x).mul_scalar(1.0 - bound).add_scalar(bound),
        }
    }

    /// `ln f`.
    pub fn log<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.lower_bound {
            0.0 => log_sigmoid(x), // finite where the gate is too small for a float
            _ => self.factor(x).log(),
        }
    }

    /// `1 − f`, without a difference that cancels.
    pub fn complement<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self.lower_bound {
            0.0 => sigmoid(x.neg()),
            bound => sigmoid(x.neg()).mul_scalar(1.0 - bound),
        }
    }
}

/// A forget gate of logits `x` whose lower bounds `γ` are of its shape when broadcast: `ln f` and `1 − f`.
pub(crate) fn bounded_forget_gate<const D: usize>(x: Tensor<D>, bounds: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let free = bounds.clone().neg().add_scalar(1.0);
    let factor = sigmoid(x.clone()) * free.clone() + bounds;
    // A bound of 0, of which `f32` has some, and a gate too small for a float.
    let log = factor.clamp_min(f32::MIN_POSITIVE).log();
    (log, sigmoid(x.neg()) * free)
}
