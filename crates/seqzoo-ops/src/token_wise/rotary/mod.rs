//! Rotations of pairs of channels.

mod kernel;

use super::runs_kernel;
use crate::checks;
use crate::form::Form;
use burn::tensor::{DType, Tensor};

/// Which channels of a head are a pair that turns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RotaryLayout {
    /// `(i, i + d/2)`, as in GPT-NeoX, Llama and most published models.
    #[default]
    HalfSplit,
    /// `(2i, 2i + 1)`, as in the paper and GPT-J.
    Interleaved,
}

/// Turns pairs of channels `(a, b)` of every head, the pair `i` of `d/2`.
///
/// ```text
/// x'_a = x_a cos_i − x_b sin_i
/// x'_b = x_b cos_i + x_a sin_i
/// ```
///
/// # Shapes
///
/// * `tokens`: `[B, T, H, K]` with `K >= d`; the channels after the first `d` stay as they are.
/// * `cos`, `sin`: `[B, T, 1, d/2]`, or `[1, T, 1, d/2]` where all sequences turn alike. They have no gradient.
/// * Returns `[B, T, H, K]`.
///
/// Source: Su et al. 2021, <https://arxiv.org/abs/2104.09864> (sec. 3.2).
///
/// # Panics
///
/// If shapes disagree, or a form is asked for that there is not: this operator has `Parallel` and `Kernel`.
#[track_caller]
pub fn rotate(
    tokens: Tensor<4>,
    cos: Tensor<4>,
    sin: Tensor<4>,
    layout: RotaryLayout,
    form: Form,
) -> Tensor<4> {
    let [batch, time, _, channels] = tokens.dims();
    let [rows, _, _, half] = cos.dims();
    let rows = if rows == 1 { 1 } else { batch };
    for (argument, table) in [("cos", &cos), ("sin", &sin)] {
        checks::shape(argument, &table.dims(), &[("B", rows), ("T", time), ("1", 1), ("d/2", half)]);
    }
    assert!(
        2 * half <= channels,
        "The argument `cos` turns {} channels, but the heads of `tokens` have {channels}.",
        2 * half
    );
    let kernels = matches!(tokens.dtype(), DType::F32 | DType::F64) && cos.dtype() == tokens.dtype();
    let elements = if half == 0 { 0 } else { tokens.shape().num_elements() };
    match runs_kernel(form, &tokens.device(), elements) && kernels {
        true => kernel::run(tokens, cos, sin, layout),
        false => law(tokens, cos, sin, layout),
    }
}

/// The rotation in tensor operations.
fn law(tokens: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, layout: RotaryLayout) -> Tensor<4> {
    let (channels, turning) = (tokens.dims()[3], 2 * cos.dims()[3]);
    if turning == 0 {
        return tokens;
    }
    if turning < channels {
        let turned = law(tokens.clone().narrow(3, 0, turning), cos, sin, layout);
        return Tensor::cat(vec![turned, tokens.narrow(3, turning, channels - turning)], 3);
    }
    let (first, second) = pairs(tokens, layout);
    let a = first.clone() * cos.clone() - second.clone() * sin.clone();
    joined(a, second * cos + first * sin, layout)
}

/// The first and the second channel of every pair, both `[B, T, H, d/2]`.
fn pairs(tokens: Tensor<4>, layout: RotaryLayout) -> (Tensor<4>, Tensor<4>) {
    let [batch, time, heads, channels] = tokens.dims();
    let half = channels / 2;
    match layout {
        RotaryLayout::HalfSplit => (tokens.clone().narrow(3, 0, half), tokens.narrow(3, half, half)),
        RotaryLayout::Interleaved => {
            let pairs = tokens.reshape([batch, time, heads, half, 2]);
            (pairs.clone().narrow(4, 0, 1).squeeze_dim(4), pairs.narrow(4, 1, 1).squeeze_dim(4))
        }
    }
}

/// The channels of the pairs where they were, `[B, T, H, d]`.
fn joined(first: Tensor<4>, second: Tensor<4>, layout: RotaryLayout) -> Tensor<4> {
    let [batch, time, heads, half] = first.dims();
    match layout {
        RotaryLayout::HalfSplit => Tensor::cat(vec![first, second], 3),
        RotaryLayout::Interleaved => {
            Tensor::stack::<5>(vec![first, second], 4).reshape([batch, time, heads, 2 * half])
        }
    }
}
