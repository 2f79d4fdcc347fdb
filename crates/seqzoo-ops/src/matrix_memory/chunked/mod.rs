//! The common ground of the chunk-parallel forms, in tensor operations: cutting a sequence, decays inside a chunk.

pub(crate) mod halving;
pub(crate) mod triangular;

use super::problem::Problem;
use crate::precision::to_dtype;
use burn::tensor::{Bool, Tensor};

/// Stands for a log decay of minus infinity: sums of it stay finite, and its exponential is 0.
const FORGET: f64 = -1e30;

/// The initial memory, zero where the first token is a reset: a decay of zero would leave the
/// infinities of a state that has overflown.
pub(crate) fn cleared(memory: Tensor<4>, reset: Tensor<2, Bool>) -> Tensor<4> {
    let mask = reset.unsqueeze_dims::<4>(&[2, 3]).expand(memory.dims());
    memory.mask_fill(mask, 0.0)
}

/// The log decay of every token, `[b|1, t, h, 1 or k]`, with resets as decays that leave nothing.
pub(crate) fn with_resets(problem: &Problem) -> Option<Tensor<4>> {
    let [batch, time, heads, _] = problem.value.dims();
    let decay = problem.decay.clone().map(|log| {
        let [rows, _, _, channels] = log.dims();
        log.expand([rows, time, heads, channels])
    });
    let Some(resets) = problem.resets.clone() else { return decay };
    let Some(log) = decay else {
        return Some(to_dtype(resets.float(), problem.dtype()).mul_scalar(FORGET).unsqueeze_dims(&[2, 3]));
    };
    let [_, _, _, channels] = log.dims();
    let shape = [batch, time, heads, channels];
    Some(log.expand(shape).mask_fill(resets.unsqueeze_dims::<4>(&[2, 3]).expand(shape), FORGET))
}

/// `[b, t, h, d]` as `[b, h, chunks, c, d]`, with zeros after the last token: a zero key writes
/// nothing and a zero log decay forgets nothing, so padding is exact.
pub(crate) fn split_chunks(tokens: Tensor<4>, count: usize, chunk: usize) -> Tensor<5> {
    let [batch, time, heads, channels] = tokens.dims();
    let heads_first = tokens.swap_dims(1, 2);
    let missing = count * chunk - time;
    let padded = if missing == 0 {
        heads_first
    } else {
        let zeros = heads_first.clone().narrow(2, 0, 1).zeros_like();
        Tensor::cat(vec![heads_first, zeros.expand([batch, heads, missing, channels])], 2)
    };
    padded.reshape([batch, heads, count, chunk, channels])
}
