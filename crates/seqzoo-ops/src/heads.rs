//! Grouped heads.

use crate::checks;
use burn::tensor::Tensor;

/// Repeats each head of `[B, T, grouped, d]` consecutively until there are `heads`: head `j` of the
/// result is head `j / (heads / grouped)` of the input. Free where the number already agrees.
///
/// # Panics
///
/// If `grouped` does not divide `heads`.
#[track_caller]
pub fn repeat_heads(tensor: Tensor<4>, heads: usize) -> Tensor<4> {
    let [batch, time, grouped, channels] = tensor.dims();
    if grouped == heads {
        return tensor;
    }
    checks::divides("tensor", grouped, "result", heads);
    if batch * time * channels == 0 {
        return tensor.repeat_dim(2, heads / grouped); // `expand` refuses extents of 0
    }
    tensor
        .unsqueeze_dim::<5>(3)
        .expand([batch, time, grouped, heads / grouped, channels])
        .reshape([batch, time, heads, channels])
}
