//! The law: the recurrence, token by token.

use super::LinearAttentionState;
use super::problem::Problem;
use crate::matrix_memory::problem::Problem as MatrixProblem;
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<4>, LinearAttentionState) {
    let Problem { tokens, mut key_sum, normaliser_epsilon } = problem;
    let MatrixProblem { query, key, value, decay, resets, mut memory, scale, .. } =
        tokens.with_repeated_heads();
    let query = query.mul_scalar(scale);
    let [_, time, _, _] = key.dims();
    let mut outputs = Vec::with_capacity(time);

    for t in 0..time {
        let at = |x: &Tensor<4>| x.clone().narrow(1, t, 1).squeeze_dim::<3>(1); // [b, h, _]
        let (q, k, v) = (at(&query), at(&key), at(&value));

        if let Some(resets) = &resets {
            let cleared = resets.clone().narrow(1, t, 1).unsqueeze_dim::<3>(2); // [b, 1, 1]
            memory =
                memory.clone().mask_fill(cleared.clone().unsqueeze_dim::<4>(3).expand(memory.dims()), 0.0);
            key_sum = key_sum.map(|z| z.clone().mask_fill(cleared.expand(z.dims()), 0.0));
        }

        if let Some(log) = &decay {
            let step = t.min(log.dims()[1] - 1); // a fixed decay is that of every token
            let factor = log.clone().narrow(1, step, 1).squeeze_dim::<3>(1).exp(); // [b|1, h, 1 or k]
            memory = memory * factor.clone().unsqueeze_dim(3);
            key_sum = key_sum.map(|z| z * factor);
        }

        memory = memory + k.clone().unsqueeze_dim::<4>(3) * v.unsqueeze_dim(2);
        key_sum = key_sum.map(|z| z + k);

        let read = (memory.clone() * q.clone().unsqueeze_dim(3)).sum_dim(2).squeeze_dim::<3>(2); // [b, h, v]
        outputs.push(match (&key_sum, normaliser_epsilon) {
            (Some(z), Some(epsilon)) => read / ((z.clone() * q).sum_dim(2) + epsilon),
            _ => read,
        });
    }
    (Tensor::stack(outputs, 1), LinearAttentionState { memory, key_sum })
}
