//! The law: the recurrence, token by token.

use super::memory::Memory;
use super::options::NeuralMemoryState;
use super::places::Places;
use super::problem::Problem;
use super::surprise::{Surprise, numbers};
use burn::tensor::Tensor;

pub(super) fn naive(problem: Problem) -> (Tensor<4>, NeuralMemoryState) {
    let Problem {
        query,
        key,
        value,
        forget,
        momentum,
        step,
        initial,
        state,
        network,
        chunk,
        surprise,
        resets,
    } = problem;
    let ([_, time, _, _], device) = (key.dims(), key.device());
    let (position, depth) = (state.position.clone(), initial.len());
    let places = Places::new(state.places(), resets, time, chunk);
    let mut memory = Memory::of(state);
    let (mut outputs, mut surprises) = (Vec::with_capacity(time), Vec::new());

    for t in 0..time {
        let at = |x: &Tensor<4>| x.clone().narrow(1, t, 1).swap_dims(1, 2); // [b, h, 1, _]
        memory.reset(&places.reset(t, &device), &initial);
        memory.begin(&places.begin(t, &device));

        let gradients = network.gradients(&memory.start, at(&key), at(&value));
        for layer in 0..depth {
            let (input, error) = (gradients.inputs[layer].clone(), gradients.errors[layer].clone());
            let gradient = input.swap_dims(2, 3).matmul(error); // [b, h, in, out]
            let moved = memory.momentum[layer].clone() * at(&momentum) - gradient * at(&step);
            let kept = memory.weights[layer].clone() * at(&forget).neg().add_scalar(1.0);
            (memory.weights[layer], memory.momentum[layer]) = (kept + moved.clone(), moved);
        }
        let product = |layer: usize, input: Tensor<4>| input.matmul(memory.weights[layer].clone());
        outputs.push(network.answer(at(&query), depth, product));
        if surprise {
            surprises.push(numbers(&gradients.inputs, &gradients.errors));
        }
    }
    let surprise = surprise.then(|| Surprise::of(surprises, 2, |x| x.squeeze_dim::<3>(3).swap_dims(1, 2)));
    (Tensor::cat(outputs, 2).swap_dims(1, 2), memory.state(&places, &position, chunk, surprise))
}
