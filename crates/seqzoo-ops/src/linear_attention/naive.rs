//! The law: the recurrence, token by token.

use super::problem::Problem;
use super::{Decay, LinearAttentionState};
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<4>, LinearAttentionState) {
    let Problem { query, key, value, decay, resets, state, scale, normaliser } = problem;
    let query = query.mul_scalar(scale);
    let [batch, time, heads, keys] = key.dims();
    let LinearAttentionState { mut memory, mut key_sum } = state;
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

        let log_decay = match &decay {
            Decay::None => None,
            Decay::PerHead(log) => Some(log.clone().reshape([1, heads, 1])),
            Decay::Scalar(log) => Some(log.clone().narrow(1, t, 1).reshape([batch, heads, 1])),
            Decay::Vector(log) => Some(at(log).reshape([batch, heads, keys])),
        };
        if let Some(kept) = log_decay.map(Tensor::exp) {
            memory = memory * kept.clone().unsqueeze_dim(3);
            key_sum = key_sum.map(|z| z * kept);
        }

        memory = memory + k.clone().unsqueeze_dim::<4>(3) * v.unsqueeze_dim(2);
        key_sum = key_sum.map(|z| z + k);

        let read = (memory.clone() * q.clone().unsqueeze_dim(3)).sum_dim(2).squeeze_dim::<3>(2); // [b, h, v]
        outputs.push(match (&key_sum, normaliser) {
            (Some(z), Some(epsilon)) => read / ((z.clone() * q).sum_dim(2) + epsilon),
            _ => read,
        });
    }
    (Tensor::stack(outputs, 1), LinearAttentionState { memory, key_sum })
}
