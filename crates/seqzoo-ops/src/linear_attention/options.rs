//! State and options.

use crate::Form;
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Bool, Tensor};

/// The state of the recurrence, of `B` sequences, or of `N` segments in place of `B`.
#[derive(Clone, Debug)]
pub struct LinearAttentionState {
    /// The memory `S`, `[B, H, K, V]`.
    pub memory: Tensor<4>,
    /// The running key sum `z`, `[B, H, K]`; present where the output is normalised.
    pub key_sum: Option<Tensor<3>>,
}

impl LinearAttentionState {
    /// The final state of all segments, where this is that of the segments that have tokens and `initial` that before all.
    pub(super) fn of_segments(self, unpacking: &Unpacking, initial: Self) -> Self {
        let sums = self.key_sum.zip(initial.key_sum);
        Self {
            memory: unpacking.final_states(self.memory, initial.memory),
            key_sum: sums.map(|(last, initial)| unpacking.final_states(last, initial)),
        }
    }
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
    /// Several sequences in every row, each with a state of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it.
    pub form: Form,
}
