//! The law: the recurrence, token by token.

use super::problem::Problem;
use crate::Complex;
use crate::scan::reset::cleared;
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<3>, Complex<3>) {
    let Problem { input, eigenvalues, weights, mut state, resets } = problem;
    let [_, time, _] = input.dims();
    let [eigenvalues, weights] = [eigenvalues, weights].map(|diagonal| diagonal.map(Tensor::unsqueeze::<3>));
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        if let Some(resets) = &resets {
            state = state.map(|part| cleared(part, resets, t));
        }
        let moved = eigenvalues.clone().times(state);
        let written = input.clone().narrow(1, t, 1).swap_dims(1, 2); // [b, e, 1]
        state = Complex::new(moved.re + written, moved.im);
        outputs.push(weights.clone().real_of_product(state.clone()).sum_dim(2).swap_dims(1, 2));
    }
    (Tensor::cat(outputs, 1), state)
}
