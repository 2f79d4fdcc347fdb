//! The law: the sum, one token at a time.

use super::problem::{Problem, nothing};
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let Problem { input, filter, mut past, skip, resets } = problem;
    let [batch, time, channels] = input.dims();
    let length = filter.dims()[1];
    let newest_last = filter.flip([1]).swap_dims(0, 1).unsqueeze_dim::<3>(0); // [1, l, d]
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let token = input.clone().narrow(1, t, 1);
        if let (Some(inputs), Some(resets)) = (&past, &resets) {
            let cleared = resets.clone().narrow(1, t, 1).unsqueeze_dim::<3>(2).expand(inputs.dims());
            past = Some(inputs.clone().mask_fill(cleared, 0.0));
        }
        let seen = match past {
            Some(past) => Tensor::cat(vec![past, token.clone()], 1),
            None => token.clone(),
        };
        let count = seen.dims()[1];
        let taps = newest_last.clone().narrow(1, length - count, count);
        let mut output = (seen.clone() * taps).sum_dim(1); // [b, 1, d]
        if let Some(skip) = &skip {
            output = output + token * skip.clone().unsqueeze();
        }
        outputs.push(output);
        let kept = count.min(length - 1);
        past = (kept > 0).then(|| seen.narrow(1, count - kept, kept));
    }
    let kept = past.unwrap_or_else(|| nothing(batch, channels, &input.device(), input.dtype()));
    (Tensor::cat(outputs, 1), kept)
}
