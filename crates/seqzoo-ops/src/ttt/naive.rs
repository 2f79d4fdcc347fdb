//! The law: the recurrence, token by token.

use super::fitting::Fitting;
use super::options::TttState;
use super::problem::Problem;
use crate::fast_weights::passing::answer;
use crate::fast_weights::places::Places;
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<4>, TttState) {
    let Problem { query, key, target, read, write, initial, state, loss, chunk, resets } = problem;
    let ([_, time, _, _], device) = (key.dims(), key.device());
    let (position, depth) = (state.position.clone(), initial.weights.len());
    let places = Places::new(state.places(), resets, time, chunk);
    let mut fitting = Fitting::of(state, &places);
    let mut outputs = Vec::with_capacity(time);

    for t in 0..time {
        let at = |x: &Tensor<4>| x.clone().narrow(1, t, 1).swap_dims(1, 2); // [b, h, 1, _]
        fitting.reset(&places.reset(t, &device), &initial);

        let gradients = loss.gradients(&fitting.model, at(&key), at(&target));
        let errors: Vec<_> = match &write {
            Some(write) => gradients.errors.into_iter().map(|error| error * at(write)).collect(),
            None => gradients.errors,
        };
        fitting.add(&gradients.inputs, &errors);

        let step = at(&read);
        let moved = |start: &Tensor<4>, sum: &Tensor<4>| start.clone() - sum.clone() * step.clone();
        let layer = |index: usize, input: Tensor<4>| {
            let (model, sums) = (&fitting.model, &fitting.sums);
            input.matmul(moved(&model.weights[index], &sums.weights[index]))
                + moved(&model.biases[index], &sums.biases[index])
        };
        outputs.push(loss.output(at(&query), answer(at(&query), depth, layer)));
        fitting.end(&places.end(t, &device), &step);
    }
    (Tensor::cat(outputs, 2).swap_dims(1, 2), fitting.state(&places, &position, chunk))
}
