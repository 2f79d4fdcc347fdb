//! The law: the logits of all positions, and their losses by the formula.

use super::Reduction;
use super::problem::Problem;
use burn::tensor::{IntDType, Tensor};

pub(super) fn naive(problem: Problem) -> Tensor<1> {
    let Problem { factors, reduction, .. } = &problem;
    let (factors, reduction) = (factors.clone(), *reduction);
    let losses = losses(problem);
    match reduction {
        Reduction::Each => losses,
        Reduction::Mean | Reduction::Sum => (losses * factors).sum(),
    }
}

/// The loss of every position, `[n]`.
fn losses(problem: Problem) -> Tensor<1> {
    let Problem { hidden, head, classes, rule, .. } = problem;
    if hidden.dims()[0] == 0 {
        return hidden.sum_dim(1).squeeze_dim(1) * head.weight.sum();
    }
    let weight = if head.embedding { head.weight.transpose() } else { head.weight };
    let mut logits = hidden.matmul(weight); // [n, v]
    if let Some(bias) = head.bias {
        logits = logits + bias.unsqueeze();
    }
    if let Some(cap) = rule.cap {
        // Not divided: the gradient of `div_scalar` rounds `1 / cap` to `f32`.
        logits = logits.mul_scalar(1.0 / cap).tanh().mul_scalar(cap);
    }
    let ignored = classes.clone().lower_scalar(0.0);
    let classes = classes.clamp_min(0.0).cast(IntDType::I64).unsqueeze_dim::<2>(1);
    // Neither the largest logit nor its gradient changes a loss.
    let largest = logits.clone().detach().max_dim(1); // [n, 1]
    let below = logits - largest.clone();
    let sum = below.clone().exp().sum_dim(1).log();
    let said = below.clone().gather(1, classes);
    let mut losses = sum.clone() - said.mul_scalar(1.0 - rule.smoothing);
    if rule.smoothing > 0.0 {
        losses = losses - below.mean_dim(1).mul_scalar(rule.smoothing);
    }
    if rule.z > 0.0 {
        losses = losses + (sum + largest).square().mul_scalar(rule.z);
    }
    losses.squeeze_dim::<1>(1).mask_fill(ignored, 0.0)
}
