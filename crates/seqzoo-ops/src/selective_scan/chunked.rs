//! The chunk-parallel form: inside a chunk all tokens at once, from chunk to chunk the state.

use super::problem::{Problem, per_channel};
use crate::scan::doubling::doubling;
use crate::scan::reset::{cleared, cut};
use burn::tensor::{Tensor, activation::silu};

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<3>, Tensor<3>) {
    let a = problem.rates();
    let Problem { input, delta, b, c, step, d, z, mut state, resets, .. } = problem;
    let [batch, time, channels] = input.dims();
    let states = a.dims()[1];
    if let Some(resets) = &resets {
        state = cleared(state, resets, 0); // a product with 0 would keep an infinite one
    }
    let steps = step.steps(delta);
    let mut outputs = Vec::with_capacity(time.div_ceil(size));
    for from in (0..time).step_by(size) {
        let length = size.min(time - from);
        let tokens = |x: &Tensor<3>| x.clone().narrow(1, from, length); // [b, c, e]
        let shared = |x: &Tensor<4>| per_channel(x.clone().narrow(1, from, length), channels); // [b, c, e, n]
        let dt = tokens(&steps);
        let mut factors = (dt.clone().unsqueeze_dim::<4>(3) * a.clone().unsqueeze()).exp();
        if let Some(resets) = &resets {
            factors = cut(factors, &resets.clone().narrow(1, from, length));
        }
        let writes = shared(&b) * (dt * tokens(&input)).unsqueeze_dim(3);
        let (products, local) = doubling(factors, writes, 1);
        let all = local + products * state.unsqueeze_dim(1); // [b, c, e, n]
        outputs.push((all.clone() * shared(&c)).sum_dim(3).squeeze_dim::<3>(3));
        state = all.narrow(1, length - 1, 1).reshape([batch, channels, states]);
    }
    let mut output = Tensor::cat(outputs, 1);
    if let Some(d) = d {
        output = output + input * d.unsqueeze();
    }
    if let Some(z) = z {
        output = output * silu(z);
    }
    (output, state)
}
