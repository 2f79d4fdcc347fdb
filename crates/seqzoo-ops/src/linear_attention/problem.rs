//! The checked problem that every form solves.

use super::options::{LinearAttentionOptions, LinearAttentionState};
use crate::checks;
use crate::matrix_memory::decay::Decay;
use crate::matrix_memory::problem::{Given, Problem as MatrixProblem};
use crate::precision::to_dtype;
use crate::segments::Unpacking;
use burn::tensor::Tensor;

/// Arguments after checking.
pub(super) struct Problem {
    pub tokens: MatrixProblem,
    /// Where the output is normalised, `[b, h, k]`, or `[n, h, k]` of n segments.
    pub key_sum: Option<Tensor<3>>,
    pub normaliser_epsilon: Option<f64>,
}

impl Problem {
    #[track_caller]
    pub fn checked(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        decay: Decay,
        options: LinearAttentionOptions,
    ) -> Self {
        let (initial, initial_sum) = match options.initial_state {
            None => (None, None),
            Some(state) => (Some(state.memory), Some(state.key_sum)),
        };
        let given = Given {
            memory: initial.map(|memory| (memory, "initial_state.memory")),
            scale: options.scale,
            resets: options.resets,
            segments: options.segments,
        };
        let tokens = MatrixProblem::checked(query, key, value, decay, given);
        let key_sum = options.normaliser.map(|_| {
            let [sequences, heads, key_dim, _] = tokens.memory.dims();
            let axis = if tokens.segments.is_some() { "N" } else { "B" };
            match initial_sum {
                None => Tensor::zeros([sequences, heads, key_dim], (&tokens.value.device(), tokens.dtype())),
                Some(sum) => {
                    let sum = sum.expect(
                        "A normaliser was asked for, but `initial_state.key_sum` is absent; \
                         pass the state that a normalised call returned.",
                    );
                    let wanted = [(axis, sequences), ("H", heads), ("K", key_dim)];
                    checks::shape("initial_state.key_sum", &sum.dims(), &wanted);
                    to_dtype(sum, tokens.dtype())
                }
            }
        });
        Self { tokens, key_sum, normaliser_epsilon: options.normaliser }
    }

    /// The same problem with the segments that have tokens as sequences.
    pub fn unpacked(self, unpacking: &Unpacking) -> Self {
        Self {
            tokens: self.tokens.unpacked(unpacking),
            key_sum: self.key_sum.map(|sum| unpacking.states(sum)),
            ..self
        }
    }

    /// The initial state.
    pub fn state(&self) -> LinearAttentionState {
        LinearAttentionState { memory: self.tokens.memory.clone(), key_sum: self.key_sum.clone() }
    }
}
