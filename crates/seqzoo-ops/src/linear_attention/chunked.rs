//! The chunk-parallel form, in plain tensor operations. The derivation is in `README.md`.

use super::problem::Problem;
use super::{Decay, LinearAttentionState, normaliser};
use crate::chunks::{cleared, halving, split_chunks, with_resets};
use burn::tensor::Tensor;

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
