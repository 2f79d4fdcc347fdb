//! The checked problem that every form solves.

use super::options::LinearAttentionOptions;
use crate::checks;
use crate::matrix_memory::decay::Decay;
use crate::matrix_memory::problem::{Given, Problem as MatrixProblem};
use crate::precision::to_dtype;
use burn::tensor::Tensor;

/// Arguments after checking.
pub(super) struct Problem {
    pub tokens: MatrixProblem,
    /// Where the output is normalised, `[b, h, k]`.
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
        };
        let tokens = MatrixProblem::checked(query, key, value, decay, given);
        let key_sum = options.normaliser.map(|_| {
            let [batch, heads, key_dim, _] = tokens.memory.dims();
            match initial_sum {
                None => Tensor::zeros([batch, heads, key_dim], (&tokens.value.device(), tokens.dtype())),
                Some(sum) => {
                    let sum = sum.expect(
                        "A normaliser was asked for, but `initial_state.key_sum` is absent; \
                         pass the state that a normalised call returned.",
                    );
                    let wanted = [("B", batch), ("H", heads), ("K", key_dim)];
                    checks::shape("initial_state.key_sum", &sum.dims(), &wanted);
                    to_dtype(sum, tokens.dtype())
                }
            }
        });
        Self { tokens, key_sum, normaliser_epsilon: options.normaliser }
    }
}
