//! State and options.

use crate::Form;
use burn::tensor::{Bool, Tensor};

/// The state of the recurrence.
#[derive(Clone, Debug)]
pub struct LinearAttentionState {
    /// The memory `S`, `[B, H, K, V]`.
    pub memory: Tensor<4>,
    /// The running key sum `z`, `[B, H, K]`; present where the output is normalised.
    pub key_sum: Option<Tensor<3>>,
}

/// Options of [`linear_attention`](super::linear_attention).
#[derive(Clone, Debug, Default)]
pub struct LinearAttentionOptions {
    /// The state before the first token. `None`: zeros.
    pub initial_state: Option<LinearAttentionState>,
    /// Multiplies the queries. `None`: `K^-1/2`.
    pub scale: Option<f64>,
    /// Divides the output by `scale · q_tᵀ z_t + epsilon`, with the epsilon given here.
    pub normaliser: Option<f64>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// How to compute it.
    pub form: Form,
}
