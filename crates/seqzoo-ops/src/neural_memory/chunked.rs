//! The chunk-parallel form, in plain tensor operations: weights of single tokens never exist. The derivation is in
//! `README.md`.

use super::layout::Layout;
use super::memory::Memory;
use super::mixing::Mixing;
use super::options::NeuralMemoryState;
use super::places::Places;
use super::problem::Problem;
use super::surprise::{Surprise, numbers};
use crate::fast_weights::layers::Layers;
use crate::fast_weights::passing::Gradients;
use burn::tensor::Tensor;

/// Blocks whose weights and momentum are kept until all of them are read: without a tape, memory does not grow with the
/// sequence.
const READ_AT_ONCE: usize = 32;

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<4>, NeuralMemoryState) {
    let ([_, time, _, _], device) = (problem.key.dims(), problem.key.device());
    let position = problem.state.position.clone();
    let places = Places::new(problem.state.places(), problem.resets.clone(), time, problem.chunk);
    let layout = Layout::new(&places, size, problem.chunk);
    let mixing = Mixing::new(&layout, &problem);
    let Problem { query, key, value, step, initial, state, network, chunk, surprise, .. } = problem;
    let [query, key, value, downhill] = [query, key, value, step.neg()].map(|x| layout.split(x)); // [b, h, n, c, _]

    let (depth, mut memory) = (initial.len(), Memory::of(state));
    let (mut outputs, mut surprises) = (Vec::new(), Vec::new());
    for first in (0..layout.blocks).step_by(READ_AT_ONCE) {
        let read = first..layout.blocks.min(first + READ_AT_ONCE);
        let mut walked = Walked::new(depth);
        for n in read.clone() {
            let at = |x: &Tensor<5>| x.clone().narrow(2, n, 1).squeeze_dim::<4>(2);
            memory.reset(&layout.rows(n, |row, token| places.is_reset(row, token), &device), &initial);
            memory.begin(&layout.rows(n, |row, token| places.positions[row][token] == 0, &device));
            let Gradients { inputs, errors } = network.gradients(&memory.start, at(&key), at(&value));
            let written: Vec<_> = errors.iter().map(|error| error.clone() * at(&downhill)).collect();
            walked.weights.push(&memory.weights);
            walked.momentum.push(&memory.momentum);
            pass(&mut memory, &mixing, n, &inputs, &written);
            walked.inputs.push(&inputs);
            walked.errors.push(&errors);
            walked.written.push(&written);
        }
        let [weights, momentum, inputs, errors, written] = walked.stacked();

        // These blocks at once: what every token reads through every layer.
        let at = |x: &Tensor<5>| x.clone().narrow(2, read.start, read.len());
        let product = |layer: usize, input: Tensor<5>| {
            let overlap = input.clone().matmul(inputs[layer].clone().swap_dims(3, 4)) * at(&mixing.written);
            input.clone().matmul(weights[layer].clone()) * at(&mixing.weights)
                + input.matmul(momentum[layer].clone()) * at(&mixing.momentum)
                + overlap.matmul(written[layer].clone())
        };
        outputs.push(network.answer(at(&query), depth, product));
        if surprise {
            surprises.push(numbers(&inputs, &errors));
        }
    }
    let output = layout.join(Tensor::cat(outputs, 2));
    let surprise = surprise.then(|| Surprise::of(surprises, 2, |x| layout.join(x).squeeze_dim(3)));
    (output, memory.state(&places, &position, chunk, surprise))
}

/// Takes the memory over block `n`, in which every token writes `input ⊗ written` in every layer, both `[b, h, c, _]`.
fn pass(memory: &mut Memory, mixing: &Mixing, n: usize, inputs: &[Tensor<4>], written: &[Tensor<4>]) {
    let at = |x: &Tensor<5>| x.clone().narrow(2, n, 1).squeeze_dim::<4>(2);
    for (layer, (input, written)) in inputs.iter().zip(written).enumerate() {
        let (weights, momentum) = (memory.weights[layer].clone(), memory.momentum[layer].clone());
        let keys = input.clone().swap_dims(2, 3); // [b, h, in, c]
        let sum = |coefficients: Tensor<4>| keys.clone().matmul(written.clone() * coefficients);
        memory.weights[layer] = weights * at(&mixing.weights_left)
            + momentum.clone() * at(&mixing.momentum_added)
            + sum(at(&mixing.added));
        memory.momentum[layer] = momentum * at(&mixing.momentum_left) + sum(at(&mixing.moved));
    }
}

/// What the walk over the blocks leaves behind.
struct Walked {
    /// Before every block, `[b, h, in, out]`.
    weights: Layers,
    momentum: Layers,
    /// In every block, `[b, h, c, _]`.
    inputs: Layers,
    errors: Layers,
    written: Layers,
}

impl Walked {
    fn new(depth: usize) -> Self {
        let layers = || Layers::new(depth);
        Self { weights: layers(), momentum: layers(), inputs: layers(), errors: layers(), written: layers() }
    }

    fn stacked(self) -> [Vec<Tensor<5>>; 5] {
        [self.weights, self.momentum, self.inputs, self.errors, self.written].map(Layers::stacked)
    }
}
