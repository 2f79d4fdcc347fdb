//! The chunk-parallel form, in plain tensor operations. The derivation is in `README.md`.

use super::problem::Problem;
use crate::matrix_memory::chunked::{cleared, halving, split_chunks, triangular, with_resets};
use crate::matrix_memory::problem::Problem as MatrixProblem;
use burn::tensor::Tensor;

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<4>, Tensor<4>) {
    if problem.beta.dims()[3] > 1 {
        return by_channels(problem, size);
    }
    let tokens = problem.tokens.with_repeated_heads();
    let decay = with_resets(&tokens);
    let MatrixProblem { query, key, value, resets, memory, scale, .. } = tokens;
    let [_, time, _, _] = query.dims();
    let query = query.mul_scalar(scale);
    let memory = match resets {
        Some(resets) => cleared(memory, resets.narrow(1, 0, 1)),
        None => memory,
    };

    let chunk = size.min(time.next_power_of_two());
    let count = time.div_ceil(chunk);
    let split = |x| split_chunks(x, count, chunk); // [b, h, n, c, _]
    let (query, key, value, beta) = (split(query), split(key), split(value), split(problem.beta));
    let Faded { read, overlap, query, key_reads, key_writes, factors } = fade(query, key, decay.map(split));

    // (I + diag(β) L) U = diag(β) (V - K S), L the overlaps of keys with earlier ones.
    let [batch, heads, _, _, values] = value.dims();
    let strict = (overlap * beta.clone()).reshape([batch * heads * count, chunk, chunk]);
    let solution = triangular::inverse(strict).reshape([batch, heads, count, chunk, chunk]);
    let from_values = solution.clone().matmul(value * beta.clone()); // [b, h, n, c, v]
    let from_memory = solution.matmul(key_reads * beta); // [b, h, n, c, k]

    let mut memory = memory;
    let (mut before, mut written) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for n in 0..count {
        let at = |x: &Tensor<5>| x.clone().narrow(2, n, 1).squeeze_dim::<4>(2);
        let update = at(&from_values) - at(&from_memory).matmul(memory.clone()); // [b, h, c, v]
        before.push(memory.clone());
        if let Some(factors) = &factors {
            memory = memory * at(factors);
        }
        memory = memory + at(&key_writes).swap_dims(2, 3).matmul(update.clone());
        written.push(update);
    }
    let (before, written) = (Tensor::stack::<5>(before, 2), Tensor::stack::<5>(written, 2));
    let output = read.matmul(written) + query.matmul(before); // [b, h, n, c, v]
    let output = output.reshape([batch, heads, count * chunk, values]).narrow(2, 0, time).swap_dims(1, 2);
    (output, memory)
}

/// Products inside the chunks and tokens at their edges, `[b, h, n, c, _]`.
struct Faded {
    /// The product of the query of token i with the key of token j, decayed; 0 where j is later.
    read: Tensor<5>,
    /// The same for the key of token i; where j is not earlier, whatever it may be.
    overlap: Tensor<5>,
    /// Queries and keys as they read the memory before the chunk, and keys as they write the one after it.
    query: Tensor<5>,
    key_reads: Tensor<5>,
    key_writes: Tensor<5>,
    /// The factor of the memory over the chunk, `[b|1, h|1, n, k|1, 1]`.
    factors: Option<Tensor<5>>,
}

fn fade(query: Tensor<5>, key: Tensor<5>, decay: Option<Tensor<5>>) -> Faded {
    let shape = key.dims();
    let [batch, heads, count, chunk, channels] = shape;
    let plain = |left: &Tensor<5>| left.clone().matmul(key.clone().swap_dims(3, 4));
    match decay {
        None => Faded {
            read: plain(&query).tril(0),
            overlap: plain(&key),
            query,
            key_reads: key.clone(),
            key_writes: key,
            factors: None,
        },
        Some(log) if log.dims()[4] == 1 => {
            let [log_batch, log_heads, ..] = log.dims(); // [b|1, h|1, n, c, 1]
            let (pairs, sums) = halving::pairwise(log.reshape([log_batch * log_heads * count, chunk]));
            let unfold = |x: Tensor<3>| {
                let [_, rows, columns] = x.dims();
                x.reshape([log_batch, log_heads, count, rows, columns])
            };
            let (pairs, through) = (unfold(pairs), unfold(sums.through.clone().exp()));
            Faded {
                read: plain(&query) * pairs.clone(),
                overlap: plain(&key) * pairs,
                query: query * through.clone(),
                key_reads: key.clone() * through,
                key_writes: key * unfold(sums.after.clone().exp()),
                factors: Some(unfold(sums.total().exp())),
            }
        }
        Some(log) => {
            let fold = |x: Tensor<5>| x.reshape([batch * heads * count, chunk, channels]);
            let log = fold(log.expand(shape));
            let square = |x: Tensor<3>| x.reshape([batch, heads, count, chunk, chunk]);
            let products = |left: &Tensor<5>| {
                halving::gated_products(fold(left.clone()), fold(key.clone()), log.clone())
            };
            let ((read, sums), (overlap, _)) = (products(&query), products(&key));
            let through = sums.through.clone().exp().reshape(shape);
            Faded {
                read: square(read),
                overlap: square(overlap),
                query: query * through.clone(),
                key_reads: key.clone() * through,
                key_writes: key * sums.after.clone().exp().reshape(shape),
                factors: Some(sums.total().exp().reshape([batch, heads, count, channels, 1])),
            }
        }
    }
}

/// With a beta of its own for every value channel, no triangle serves all of them: every channel becomes a head with
/// a value of one channel. That costs `V` times the products inside the chunks; kernels do without.
fn by_channels(problem: Problem, size: usize) -> (Tensor<4>, Tensor<4>) {
    let Problem { tokens, beta, bounded } = problem;
    let [batch, time, heads, values] = tokens.value.dims();
    let [_, _, keys, _] = tokens.memory.dims();
    let all = heads * values;
    let tokens = MatrixProblem {
        value: tokens.value.reshape([batch, time, all, 1]),
        memory: tokens.memory.swap_dims(2, 3).reshape([batch, all, keys, 1]),
        ..tokens
    };
    let (output, memory) =
        chunked(Problem { tokens, beta: beta.reshape([batch, time, all, 1]), bounded }, size);
    let memory = memory.reshape([batch, heads, values, keys]).swap_dims(2, 3);
    (output.reshape([batch, time, heads, values]), memory)
}
