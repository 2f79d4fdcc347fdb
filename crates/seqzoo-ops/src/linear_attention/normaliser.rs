//! The normaliser as one more column: with ones appended to the values, the memory's last column is the key
//! sum and the output's last column the divisor.

use super::LinearAttentionState;
use crate::matrix_memory::problem::Problem;
use burn::tensor::Tensor;

/// The problem, with values and memory a column wider where the output is normalised.
pub(super) fn join(tokens: Problem, key_sum: Option<Tensor<3>>) -> Problem {
    let Some(sum) = key_sum else { return tokens };
    let ones = tokens.value.clone().narrow(3, 0, 1).ones_like();
    Problem {
        value: Tensor::cat(vec![tokens.value, ones], 3),
        memory: Tensor::cat(vec![tokens.memory, sum.unsqueeze_dim(3)], 3),
        ..tokens
    }
}

/// Undoes [`join`] on an output `[b, t, h, v]` and a memory, and divides the output by its last column
/// plus the epsilon.
pub(super) fn part(
    output: Tensor<4>,
    memory: Tensor<4>,
    epsilon: Option<f64>,
) -> (Tensor<4>, LinearAttentionState) {
    let Some(epsilon) = epsilon else {
        return (output, LinearAttentionState { memory, key_sum: None });
    };
    let width = output.dims()[3] - 1;
    let sum = memory.clone().narrow(3, width, 1).squeeze_dim(3);
    let state = LinearAttentionState { memory: memory.narrow(3, 0, width), key_sum: Some(sum) };
    let divisor = output.clone().narrow(3, width, 1) + epsilon;
    (output.narrow(3, 0, width) / divisor, state)
}
