//! The law: the recurrence, token by token.

use super::problem::Problem;
use crate::matrix_memory::problem::Problem as MatrixProblem;
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<4>, Tensor<4>) {
    let Problem { tokens, beta, .. } = problem;
    let MatrixProblem { query, key, value, decay, resets, mut memory, scale, .. } =
        tokens.with_repeated_heads();
    let query = query.mul_scalar(scale);
    let [_, time, _, _] = key.dims();
    let mut outputs = Vec::with_capacity(time);

    for t in 0..time {
        let at = |x: &Tensor<4>| x.clone().narrow(1, t, 1).squeeze_dim::<3>(1); // [b, h, _]
        let (q, k) = (at(&query).unsqueeze_dim::<4>(3), at(&key).unsqueeze_dim::<4>(3)); // [b, h, k, 1]
        let (v, beta) = (at(&value), at(&beta)); // [b, h, v], [b, h, 1 or v]

        if let Some(resets) = &resets {
            let cleared = resets.clone().narrow(1, t, 1).unsqueeze_dims::<4>(&[2, 3]);
            memory = memory.clone().mask_fill(cleared.expand(memory.dims()), 0.0);
        }
        if let Some(log) = &decay {
            let step = t.min(log.dims()[1] - 1); // a fixed decay is that of every token
            let log = log.clone().narrow(1, step, 1).squeeze_dim::<3>(1); // [b|1, h, 1 or k]
            memory = memory * log.exp().unsqueeze_dim(3);
        }

        let held = (memory.clone() * k.clone()).sum_dim(2).squeeze_dim::<3>(2); // what the key finds
        let written = beta * (v - held);
        memory = memory + k * written.unsqueeze_dim(2);
        outputs.push((memory.clone() * q).sum_dim(2).squeeze_dim::<3>(2)); // [b, h, v]
    }
    (Tensor::stack(outputs, 1), memory)
}
