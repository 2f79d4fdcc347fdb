//! What the chunk-parallel forms share, in plain tensor operations: cutting a sequence, and decays inside a chunk.

pub(crate) mod halving;
pub(crate) mod triangular;

use crate::decay::Decay;
use crate::precision::to_dtype;
use burn::tensor::{Bool, DType, Tensor};

/// Stands for a log decay of minus infinity: sums of it stay finite, and its exponential is 0.
const FORGET: f64 = -1e30;

/// The initial memory, zero where the first token is a reset: a decay of zero would leave the
/// infinities of a state that has overflown.
pub(crate) fn cleared(memory: Tensor<4>, reset: Tensor<2, Bool>) -> Tensor<4> {
    let mask = reset.unsqueeze_dims::<4>(&[2, 3]).expand(memory.dims());
    memory.mask_fill(mask, 0.0)
}

/// Spreads a fixed decay over the tokens and writes resets as decays that leave nothing.
pub(crate) fn with_resets(decay: Decay, resets: Option<Tensor<2, Bool>>, time: usize, dtype: DType) -> Decay {
    let decay = match decay {
        Decay::PerHead(log) => {
            let heads = log.dims()[0];
            Decay::Scalar(log.reshape([1, 1, heads]).expand([1, time, heads]))
        }
        other => other,
    };
    let Some(resets) = resets else { return decay };
    let [batch, _] = resets.dims();
    match decay {
        Decay::Vector(log) => {
            let mask = resets.unsqueeze_dim::<3>(2).unsqueeze_dim::<4>(3).expand(log.dims());
            Decay::Vector(log.mask_fill(mask, FORGET))
        }
        Decay::Scalar(log) => {
            let shape = [batch, time, log.dims()[2]];
            Decay::Scalar(log.expand(shape).mask_fill(resets.unsqueeze_dim::<3>(2).expand(shape), FORGET))
        }
        Decay::None | Decay::PerHead(_) => {
            Decay::Scalar(to_dtype(resets.float(), dtype).mul_scalar(FORGET).unsqueeze_dim(2))
        }
    }
}

/// `[b, t, h, d]` as `[b, h, chunks, c, d]`, with zeros behind the last token: a zero key writes
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
