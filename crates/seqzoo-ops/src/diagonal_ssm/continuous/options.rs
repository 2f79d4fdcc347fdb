//! How a state space becomes a recurrence, and its decays what they are.

use burn::config::Config;
use burn::tensor::Tensor;
use burn::tensor::activation::{relu, softplus};

/// How a state space in continuous time becomes a recurrence over tokens.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum Discretisation {
    /// The input stays as it is between tokens: `λ = e^(ΔA)`, `B̄ = (e^(ΔA) − 1)/A · B`.
    ZeroOrderHold,
    /// The trapezium rule: `λ = (1 + ΔA/2)/(1 − ΔA/2)`, `B̄ = Δ/(1 − ΔA/2) · B`.
    Bilinear,
}

/// What makes a decay, `−Re A > 0`, of a parameter.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum RealTransform {
    /// `e^x`.
    Exp,
    /// `max(x, 0) + 1e-4`.
    Relu,
    /// `ln(1 + e^x)`.
    Softplus,
}

/// The least decay that a parameter is set for.
pub(super) const MIN_DECAY: f64 = 1e-4;

impl RealTransform {
    /// The decay of a parameter.
    pub fn apply<const D: usize>(self, parameter: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Exp => parameter.exp(),
            Self::Relu => relu(parameter).add_scalar(MIN_DECAY),
            Self::Softplus => softplus(parameter, 1.0),
        }
    }

    /// The parameter of a decay; of `1e-4` for smaller ones.
    pub fn inverse(self, decay: f64) -> f64 {
        let decay = decay.max(MIN_DECAY);
        match self {
            Self::Exp => decay.ln(),
            Self::Relu => decay - MIN_DECAY,
            Self::Softplus => decay.exp_m1().ln(),
        }
    }
}
