//! The chunk-parallel form, in plain tensor operations. The derivation is in `README.md`.

use super::problem::Problem;
use super::{Decay, LinearAttentionState, halving, normaliser};
use crate::precision::to_dtype;
use burn::tensor::{Bool, DType, Tensor};

/// Stands for a log decay of minus infinity: sums of it stay finite, and its exponential is 0.
const FORGET: f64 = -1e30;

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<4>, LinearAttentionState) {
    let Problem { query, key, value, decay, resets, state, scale, normaliser: divisor } = problem;
    let [batch, time, heads, _] = query.dims();
    let query = query.mul_scalar(scale);

    let (value, memory) = normaliser::join(value, state);
    let memory = match &resets {
        Some(resets) => cleared(memory, resets.clone().narrow(1, 0, 1)),
        None => memory,
    };
    let decay = with_resets(decay, resets, time, query.dtype());

    let chunk = size.min(time.next_power_of_two());
    let count = time.div_ceil(chunk);
    let split = |x| split_chunks(x, count, chunk); // [b, h, n, c, _]
    let (query, key, value) = (split(query), split(key), split(value));

    let (inside, reads, writes, kept) = match decay {
        Decay::None => {
            let products = query.clone().matmul(key.clone().swap_dims(3, 4)).tril(0);
            (products, query, key, None)
        }
        Decay::Scalar(log) => {
            let [log_batch, _, log_heads] = log.dims();
            let log = split(log.unsqueeze_dim::<4>(3)); // [b|1, h|1, n, c, 1]
            let (pairs, sums) = halving::pairwise(log.reshape([log_batch * log_heads * count, chunk]));
            let unfold = |x: Tensor<3>| {
                let [_, rows, columns] = x.dims();
                x.reshape([log_batch, log_heads, count, rows, columns])
            };
            (
                query.clone().matmul(key.clone().swap_dims(3, 4)) * unfold(pairs),
                query * unfold(sums.through.clone().exp()),
                key * unfold(sums.after.clone().exp()),
                Some(unfold(sums.total().exp())), // [b|1, h|1, n, 1, 1]
            )
        }
        Decay::Vector(log) => {
            let shape = query.dims(); // [b, h, n, c, k]
            let [_, _, _, _, channels] = shape;
            let fold = |x: Tensor<5>| x.reshape([batch * heads * count, chunk, channels]);
            let (products, sums) =
                halving::gated_products(fold(query.clone()), fold(key.clone()), fold(split(log)));
            (
                products.reshape([batch, heads, count, chunk, chunk]),
                query * sums.through.clone().exp().reshape(shape),
                key * sums.after.clone().exp().reshape(shape),
                Some(sums.total().exp().reshape([batch, heads, count, channels, 1])),
            )
        }
        Decay::PerHead(_) => unreachable!("`with_resets` gives a fixed decay one value per token"),
    };

    let written = writes.swap_dims(3, 4).matmul(value.clone()); // [b, h, n, k, v]
    let (before, memory) = carry(memory, written, kept);
    let output = inside.matmul(value) + reads.matmul(before); // [b, h, n, c, v]

    let width = output.dims()[4];
    let output = output.reshape([batch, heads, count * chunk, width]).narrow(2, 0, time).swap_dims(1, 2); // [b, t, h, v]
    normaliser::part(output, memory, divisor)
}

/// The initial memory, zero where the first token is a reset: a decay of zero would leave the
/// infinities of a state that has overflown.
fn cleared(memory: Tensor<4>, reset: Tensor<2, Bool>) -> Tensor<4> {
    let mask = reset.unsqueeze_dims::<4>(&[2, 3]).expand(memory.dims());
    memory.mask_fill(mask, 0.0)
}

/// Spreads a fixed decay over the tokens and writes resets as decays that leave nothing.
fn with_resets(decay: Decay, resets: Option<Tensor<2, Bool>>, time: usize, dtype: DType) -> Decay {
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
fn split_chunks(tokens: Tensor<4>, count: usize, chunk: usize) -> Tensor<5> {
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

/// The memory before every chunk `[b, h, n, k, v]` and after the last one `[b, h, k, v]`.
fn carry(memory: Tensor<4>, written: Tensor<5>, kept: Option<Tensor<5>>) -> (Tensor<5>, Tensor<4>) {
    let count = written.dims()[2];
    let mut memory = memory;
    let mut before = Vec::with_capacity(count);
    for n in 0..count {
        before.push(memory.clone());
        if let Some(kept) = &kept {
            memory = memory * kept.clone().narrow(2, n, 1).squeeze_dim(2);
        }
        memory = memory + written.clone().narrow(2, n, 1).squeeze_dim(2);
    }
    (Tensor::stack(before, 2), memory)
}
