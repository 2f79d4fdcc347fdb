//! What the gates of a block come to: how far everything written before a token is in the weights that it reads.

use super::layout::Layout;
use super::problem::Problem;
use crate::matrix_memory::chunked::halving;
use burn::tensor::Tensor;

/// Coefficients of the two recurrences of a block,
///
/// ```text
/// S_t = η_t S_{t-1} + g_t        W_t = (1 - α_t) W_{t-1} + S_t
/// ```
///
/// first of what token `t` finds in `W_t`, then of what is there after the block.
pub(super) struct Mixing {
    /// Of the weights before the block, `[b, h, n, c, 1]`.
    pub weights: Tensor<5>,
    /// Of the momentum before the block, `[b, h, n, c, 1]`.
    pub momentum: Tensor<5>,
    /// Of `g_s`, in row `t` and column `s`, `[b, h, n, c, c]`.
    pub written: Tensor<5>,
    /// Of the weights before the block in those after it, `[b, h, n, 1, 1]`.
    pub weights_left: Tensor<5>,
    /// Of the momentum before the block in the weights after it, `[b, h, n, 1, 1]`.
    pub momentum_added: Tensor<5>,
    /// Of `g_s` in the weights after it, `[b, h, n, c, 1]`.
    pub added: Tensor<5>,
    /// Of the momentum before the block in the momentum after it, `[b, h, n, 1, 1]`.
    pub momentum_left: Tensor<5>,
    /// Of `g_s` in the momentum after it, `[b, h, n, c, 1]`.
    pub moved: Tensor<5>,
}

impl Mixing {
    pub fn new(layout: &Layout, problem: &Problem) -> Self {
        let keep = layout.split(problem.forget.clone()).neg().add_scalar(1.0);
        let momentum = layout.split(problem.momentum.clone());
        // Padding keeps weights and momentum, and adds none of the one to the other.
        let held = layout.pads().then(|| layout.held(&momentum));
        let momentum = match &held {
            Some(held) => momentum + held.clone().neg().add_scalar(1.0),
            None => momentum,
        };
        let (kept, kept_through) = products(keep);
        let (left, left_through) = products(momentum);
        let adding = match held {
            Some(held) => kept * held.swap_dims(3, 4),
            None => kept,
        };
        let from_momentum = adding.clone().matmul(left_through.clone());
        let written = adding.matmul(left.clone());
        let last = |x: &Tensor<5>| x.clone().narrow(3, layout.width - 1, 1); // [b, h, n, 1, _]
        Self {
            weights_left: last(&kept_through),
            momentum_added: last(&from_momentum),
            added: last(&written).swap_dims(3, 4),
            momentum_left: last(&left_through),
            moved: last(&left).swap_dims(3, 4),
            weights: kept_through,
            momentum: from_momentum,
            written,
        }
    }
}

/// Of factors `[b, h, n, c, 1]`: the products between every two tokens of a block, `[b, h, n, c, c]`, and those from its
/// start, `[b, h, n, c, 1]`.
fn products(factors: Tensor<5>) -> (Tensor<5>, Tensor<5>) {
    let [batch, heads, count, width, _] = factors.dims();
    let blocks = batch * heads * count;
    let wide = width.next_power_of_two();
    let factors = factors.reshape([blocks, width]);
    let factors = if wide == width {
        factors
    } else {
        let ones = Tensor::ones([blocks, wide - width], (&factors.device(), factors.dtype()));
        Tensor::cat(vec![factors, ones], 1)
    };
    let (between, from_start) = halving::products(factors);
    let between = between.narrow(1, 0, width).narrow(2, 0, width);
    let through = from_start.through.narrow(1, 0, width);
    (between.reshape([batch, heads, count, width, width]), through.reshape([batch, heads, count, width, 1]))
}
