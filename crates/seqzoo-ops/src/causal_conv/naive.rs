//! The law: one token at a time, over a window that rolls.

use super::Problem;
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let Problem { input, weight, bias, state, resets, .. } = problem;
    let [_, time, _] = input.dims();
    let taps = weight.swap_dims(0, 1).unsqueeze_dim::<3>(0); // [1, w, d]
    let width = taps.dims()[1];
    let mut state = state;
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        if let Some(resets) = &resets {
            let cleared = resets.clone().narrow(1, t, 1).unsqueeze_dim::<3>(2).expand(state.dims());
            state = state.mask_fill(cleared, 0.0);
        }
        let window = Tensor::cat(vec![state, input.clone().narrow(1, t, 1)], 1); // [b, w, d]
        let mut output = (window.clone() * taps.clone()).sum_dim(1); // [b, 1, d]
        if let Some(bias) = &bias {
            output = output + bias.clone().unsqueeze();
        }
        outputs.push(output);
        state = window.narrow(1, 1, width - 1);
    }
    (Tensor::cat(outputs, 1), state)
}
