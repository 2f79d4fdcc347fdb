//! The chunk-parallel form: inside a chunk all tokens at once, from chunk to chunk the state.

use super::problem::Problem;
use crate::Complex;
use crate::scan::doubling::doubling;
use crate::scan::reset::{cleared, cut};
use burn::tensor::Tensor;

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<3>, Complex<3>) {
    let Problem { input, eigenvalues, weights, mut state, resets } = problem;
    let [batch, time, channels] = input.dims();
    let [_, states] = eigenvalues.dims();
    if let Some(resets) = &resets {
        state = state.map(|part| cleared(part, resets, 0)); // a product with 0 would keep an infinite one
    }
    let weights = weights.map(Tensor::unsqueeze::<4>);
    let mut outputs = Vec::with_capacity(time.div_ceil(size));
    for from in (0..time).step_by(size) {
        let length = size.min(time - from);
        let shape = [batch, length, channels, states];
        let mut factors = eigenvalues.clone().map(|part| part.unsqueeze::<4>().expand(shape));
        if let Some(resets) = &resets {
            let resets = resets.clone().narrow(1, from, length);
            factors = factors.map(|part| cut(part, &resets));
        }
        let written = input.clone().narrow(1, from, length).unsqueeze_dim::<4>(3).expand(shape);
        let zeros = written.zeros_like();
        let (products, local) = doubling(factors, Complex::new(written, zeros), 1);
        let all = local.plus(products.times(state.map(|part| part.unsqueeze_dim(1))));
        outputs.push(weights.clone().real_of_product(all.clone()).sum_dim(3).squeeze_dim::<3>(3));
        state = all.map(|part| part.narrow(1, length - 1, 1).squeeze_dim(1));
    }
    (Tensor::cat(outputs, 1), state)
}
