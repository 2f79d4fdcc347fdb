//! Softmax over a part of the scores.

use burn::tensor::{Bool, Tensor};

/// Stands for minus infinity, whose literal some shader languages refuse.
const HIDDEN: f64 = -1e30;

/// Softmax along the last axis over the scores that are not `hidden`, of which all but the last axis may be 1; zeros where
/// all are hidden.
pub fn masked_softmax<const D: usize>(scores: Tensor<D>, hidden: Tensor<D, Bool>) -> Tensor<D> {
    let scores = scores.clone().mask_fill(hidden.expand(scores.dims()), HIDDEN);
    // The maximum only keeps the exponentials in range: no gradient flows through it.
    let largest = scores.clone().detach().max_dim(D - 1);
    let any = largest.clone().greater_scalar(HIDDEN / 2.0).int().float();
    let any = crate::to_dtype(any, scores.dtype());
    let weights = (scores - largest).exp();
    let sum = weights.clone().sum_dim(D - 1);
    weights * (any / sum)
}
