//! The chunk-parallel form, in plain tensor operations: weights of single tokens never exist. The derivation is in
//! `README.md`.

use super::fitting::Fitting;
use super::options::TttState;
use super::problem::Problem;
use crate::fast_weights::layers::Layers;
use crate::fast_weights::layout::Layout;
use crate::fast_weights::passing::answer;
use crate::fast_weights::places::Places;
use burn::tensor::Tensor;

/// Blocks whose weights are kept until all of them are read: without a tape, memory does not grow with the sequence.
const READ_AT_ONCE: usize = 32;

pub(super) fn chunked(problem: Problem, size: usize) -> (Tensor<4>, TttState) {
    let Problem { query, key, target, read, write, initial, state, loss, chunk, resets } = problem;
    let ([_, time, _, _], device) = (key.dims(), key.device());
    let (position, depth) = (state.position.clone(), initial.weights.len());
    let places = Places::new(state.places(), resets, time, chunk);
    let layout = Layout::new(&places, size, chunk);
    // Blocks that begin in the middle of a chunk find sums there.
    let inside = layout.width < chunk || places.positions.iter().any(|places| places[0] != 0);
    let end = (chunk - 1) % layout.width; // the slot of the last token of a chunk
    let [query, key, target, read] = [query, key, target, read].map(|x| layout.split(x)); // [b, h, n, c, _]
    let write = match write {
        Some(write) => Some(layout.split(write)), // 0 where there is no token
        None => layout.pads().then(|| layout.held(&key)),
    };
    let earlier = Tensor::<2>::ones([layout.width; 2], (&device, key.dtype())).tril(0); // [c, c]

    let mut fitting = Fitting::of(state, &places);
    let mut outputs = Vec::new();
    for first in (0..layout.blocks).step_by(READ_AT_ONCE) {
        let blocks = first..layout.blocks.min(first + READ_AT_ONCE);
        let mut walked = Walked::new(depth, inside);
        for n in blocks.clone() {
            let at = |x: &Tensor<5>| x.clone().narrow(2, n, 1).squeeze_dim::<4>(2);
            fitting.reset(&layout.rows(n, |row, token| places.is_reset(row, token), &device), &initial);
            let gradients = loss.gradients(&fitting.model, at(&key), at(&target));
            let errors: Vec<_> = match &write {
                Some(write) => gradients.errors.into_iter().map(|error| error * at(write)).collect(),
                None => gradients.errors,
            };
            walked.push(&fitting, &gradients.inputs, &errors);
            fitting.add(&gradients.inputs, &errors);
            let ends = layout.rows_at(n, end, |row, token| places.is_last(row, token), &device);
            fitting.end(&ends, &at(&read).narrow(2, end, 1));
        }
        let walked = walked.stacked();

        // These blocks at once: what every token reads through every layer.
        let at = |x: &Tensor<5>| x.clone().narrow(2, blocks.start, blocks.len());
        let step = at(&read);
        let layer = |index: usize, input: Tensor<5>| {
            let overlap = input.clone().matmul(walked.inputs[index].clone().swap_dims(3, 4)).add_scalar(1.0);
            let mut moved = (overlap * earlier.clone().unsqueeze()).matmul(walked.errors[index].clone());
            if let Some([weights, biases]) = &walked.sums {
                moved = moved + input.clone().matmul(weights[index].clone()) + biases[index].clone();
            }
            input.matmul(walked.weights[index].clone()) + walked.biases[index].clone() - moved * step.clone()
        };
        outputs.push(loss.output(at(&query), answer(at(&query), depth, layer)));
    }
    (layout.join(Tensor::cat(outputs, 2)), fitting.state(&places, &position, chunk))
}

/// What the walk over the blocks leaves, with an entry per layer.
struct Walked<T> {
    /// Before every block, `[b, h, in, out]` and `[b, h, 1, out]`.
    weights: T,
    biases: T,
    /// The sums of both, if there are any.
    sums: Option<[T; 2]>,
    /// In every block, `[b, h, c, _]`.
    inputs: T,
    errors: T,
}

impl Walked<Layers> {
    fn new(depth: usize, with_sums: bool) -> Self {
        let layers = || Layers::new(depth);
        Self {
            weights: layers(),
            biases: layers(),
            sums: with_sums.then(|| [layers(), layers()]),
            inputs: layers(),
            errors: layers(),
        }
    }

    /// A block that begins with `fitting`.
    fn push(&mut self, fitting: &Fitting, inputs: &[Tensor<4>], errors: &[Tensor<4>]) {
        self.weights.push(&fitting.model.weights);
        self.biases.push(&fitting.model.biases);
        if let Some([weights, biases]) = &mut self.sums {
            weights.push(&fitting.sums.weights);
            biases.push(&fitting.sums.biases);
        }
        self.inputs.push(inputs);
        self.errors.push(errors);
    }

    fn stacked(self) -> Walked<Vec<Tensor<5>>> {
        Walked {
            weights: self.weights.stacked(),
            biases: self.biases.stacked(),
            sums: self.sums.map(|sums| sums.map(Layers::stacked)),
            inputs: self.inputs.stacked(),
            errors: self.errors.stacked(),
        }
    }
}
