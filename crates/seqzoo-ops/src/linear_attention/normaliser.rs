//! The normaliser as one more column: with ones behind the values, the memory's last column is the key
//! sum and the output's last column the divisor.

use super::LinearAttentionState;
use burn::tensor::Tensor;

/// Values `[b, t, h, v]` and memory `[b, h, k, v]`, a column wider where the output is normalised.
pub(super) fn join(value: Tensor<4>, state: LinearAttentionState) -> (Tensor<4>, Tensor<4>) {
    match state.key_sum {
        None => (value, state.memory),
        Some(sum) => {
            let ones = value.clone().narrow(3, 0, 1).ones_like();
            (Tensor::cat(vec![value, ones], 3), Tensor::cat(vec![state.memory, sum.unsqueeze_dim(3)], 3))
        }
    }
}

/// Undoes [`join`] on an output `[b, t, h, v]` and a memory, and divides the output by its last column
/// plus the epsilon.
pub(super) fn part(
    output: Tensor<4>,
    memory: Tensor<4>,
    normaliser: Option<f64>,
) -> (Tensor<4>, LinearAttentionState) {
    let Some(epsilon) = normaliser else {
        return (output, LinearAttentionState { memory, key_sum: None });
    };
    let width = output.dims()[3] - 1;
    let sum = memory.clone().narrow(3, width, 1).squeeze_dim(3);
    let state = LinearAttentionState { memory: memory.narrow(3, 0, width), key_sum: Some(sum) };
    let divisor = output.clone().narrow(3, width, 1) + epsilon;
    (output.narrow(3, 0, width) / divisor, state)
}
