//! The chunk-parallel form, in plain tensor operations. The derivation is in `README.md`.

use super::problem::Problem;
use super::{LinearAttentionState, normaliser};
use crate::matrix_memory::chunked::{cleared, halving, split_chunks, with_resets};
use crate::matrix_memory::problem::Problem as MatrixProblem;
use burn::tensor::Tensor;

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<4>, LinearAttentionState) {
    let Problem { tokens, key_sum, normaliser_epsilon } = problem;
    let tokens = normaliser::join(tokens.with_repeated_heads(), key_sum);
    let decay = with_resets(&tokens);
    let MatrixProblem { query, key, value, resets, memory, scale, .. } = tokens;
    let [batch, time, heads, _] = query.dims();
    let query = query.mul_scalar(scale);
    let memory = match resets {
        Some(resets) => cleared(memory, resets.narrow(1, 0, 1)),
        None => memory,
    };

    let chunk = size.min(time.next_power_of_two());
    let count = time.div_ceil(chunk);
    let split = |x| split_chunks(x, count, chunk); // [b, h, n, c, _]
    let (query, key, value, decay) = (split(query), split(key), split(value), decay.map(split));

    let (inside, reads, writes, factors) = match decay {
        None => {
            let products = query.clone().matmul(key.clone().swap_dims(3, 4)).tril(0);
            (products, query, key, None)
        }
        Some(log) if log.dims()[4] == 1 => {
            let [log_batch, log_heads, ..] = log.dims(); // [b|1, h|1, n, c, 1]
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
        Some(log) => {
            let shape = query.dims(); // [b, h, n, c, k]
            let [_, _, _, _, channels] = shape;
            let fold = |x: Tensor<5>| x.reshape([batch * heads * count, chunk, channels]);
            let (products, sums) =
                halving::gated_products(fold(query.clone()), fold(key.clone()), fold(log.expand(shape)));
            (
                products.reshape([batch, heads, count, chunk, chunk]),
                query * sums.through.clone().exp().reshape(shape),
                key * sums.after.clone().exp().reshape(shape),
                Some(sums.total().exp().reshape([batch, heads, count, channels, 1])),
            )
        }
    };

    let written = writes.swap_dims(3, 4).matmul(value.clone()); // [b, h, n, k, v]
    let (before, memory) = carry(memory, written, factors);
    let output = inside.matmul(value) + reads.matmul(before); // [b, h, n, c, v]

    let width = output.dims()[4];
    let output = output.reshape([batch, heads, count * chunk, width]).narrow(2, 0, time).swap_dims(1, 2); // [b, t, h, v]
    normaliser::part(output, memory, normaliser_epsilon)
}

/// The memory before every chunk `[b, h, n, k, v]` and after the last one `[b, h, k, v]`.
fn carry(memory: Tensor<4>, written: Tensor<5>, factors: Option<Tensor<5>>) -> (Tensor<5>, Tensor<4>) {
    let count = written.dims()[2];
    let mut memory = memory;
    let mut before = Vec::with_capacity(count);
    for n in 0..count {
        before.push(memory.clone());
        if let Some(factors) = &factors {
            memory = memory * factors.clone().narrow(2, n, 1).squeeze_dim(2);
        }
        memory = memory + written.clone().narrow(2, n, 1).squeeze_dim(2);
    }
    (Tensor::stack(before, 2), memory)
}
