//! The law: the recurrence, token by token.

use super::problem::{Problem, per_channel};
use crate::scan::reset::cleared;
use burn::tensor::{Tensor, activation::silu};

pub(super) fn naive(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let a = problem.rates();
    let Problem { input, delta, b, c, step, d, z, mut state, resets, .. } = problem;
    let [_, time, channels] = input.dims();
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let at = |x: &Tensor<3>| x.clone().narrow(1, t, 1); // [b, 1, e]
        let shared = |x: &Tensor<4>| per_channel(x.clone().narrow(1, t, 1), channels).squeeze_dim::<3>(1); // [b, e, n]
        let column = |x: Tensor<3>| x.swap_dims(1, 2); // [b, e, 1]
        if let Some(resets) = &resets {
            state = cleared(state, resets, t);
        }
        let (u, dt) = (at(&input), step.steps(at(&delta)));
        let decay = (column(dt.clone()) * a.clone().unsqueeze()).exp(); // [b, e, n]
        state = decay * state + shared(&b) * column(dt * u.clone());
        let mut output = column((state.clone() * shared(&c)).sum_dim(2)); // [b, 1, e]
        if let Some(d) = &d {
            output = output + u * d.clone().unsqueeze();
        }
        if let Some(z) = &z {
            output = output * silu(at(z));
        }
        outputs.push(output);
    }
    (Tensor::cat(outputs, 1), state)
}
