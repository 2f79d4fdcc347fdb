//! The operator over tokens, for a memory of any number of layers.

use super::super::options::NeuralMemoryState;
use super::super::places::Places;
use super::super::problem::{MAX_LAYERS, Problem};
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::matrix_memory::kernel::Outputs;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{FloatDType, Tensor};

/// The arguments of a call, in one dtype, `f32` or `f64`.
///
/// Matrices lie flat, one after the other: `memory` holds `W, S` of every layer and then `W*` of every layer, `initial`
/// the `W` that resets return to.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Inputs<B: Backend> {
    pub query: FloatTensor<B>,    // [b, t, h, k]
    pub key: FloatTensor<B>,      // [b, t, h, k]
    pub value: FloatTensor<B>,    // [b, t, h, v]
    pub forget: FloatTensor<B>,   // [b, t, h, 1]
    pub momentum: FloatTensor<B>, // [b, t, h, 1]
    pub step: FloatTensor<B>,     // [b, t, h, 1]
    pub memory: FloatTensor<B>,   // [b, h, 1, 3p], before the first token
    pub initial: FloatTensor<B>,  // [b, h, 1, p]
    /// Always there, but without a gradient.
    #[extension_type]
    pub position: Maybe<B>, // [b], the place of the first token in its chunk
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where the memory returns to the initial weights and 0 elsewhere
}
tensors!(Inputs[10]: query, key, value, forget, momentum, step, memory, initial; maybe position, resets);

/// The tensors that the backward pass reads; the values themselves are not among them. Only the backend that made the
/// last two knows their layout.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Saved<B: Backend> {
    pub query: FloatTensor<B>,
    pub key: FloatTensor<B>,
    pub forget: FloatTensor<B>,
    pub momentum: FloatTensor<B>,
    pub step: FloatTensor<B>,
    pub memory: FloatTensor<B>,
    #[extension_type]
    pub position: Maybe<B>,
    #[extension_type]
    pub resets: Maybe<B>,
    /// Weights and momentum before every block.
    pub states: FloatTensor<B>,
    /// What tokens were to the layers.
    pub tokens: FloatTensor<B>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub chunk: usize,
    pub layers: Layers,
}

/// The channels of the layers of a memory: into the first, between each and the next, out of the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layers {
    channels: [usize; MAX_LAYERS + 1],
    depth: usize,
}

impl Layers {
    /// Of the channels into the first layer, and out of every one.
    pub(super) fn new(first: usize, others: impl ExactSizeIterator<Item = usize>) -> Self {
        let (mut channels, depth) = ([first; MAX_LAYERS + 1], others.len());
        for (channels, other) in channels[1..].iter_mut().zip(others) {
            *channels = other;
        }
        Self { channels, depth }
    }

    /// Channels in and out, layer by layer.
    pub fn extents(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.depth).map(|layer| (self.channels[layer], self.channels[layer + 1]))
    }

    /// `p`: the numbers of all matrices.
    pub fn numbers(&self) -> usize {
        self.extents().map(|(from, to)| from * to).sum()
    }
}

/// The neural memory as backends with a kernel implement it.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff)]
pub(crate) trait NeuralMemoryBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn neural_memory(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn neural_memory_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    fn neural_memory_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(NeuralMemory[10, 2]: NeuralMemoryBackend {
    neural_memory, neural_memory_forward, neural_memory_vjp
});

/// Runs the kernel; a residual memory is no concern of it.
pub(super) fn run(problem: Problem) -> (Tensor<4>, NeuralMemoryState) {
    let Problem { query, key, value, forget, momentum, step, initial, state, chunk, resets, .. } = problem;
    let (dtype, [_, time, ..]) = (query.dtype(), query.dims());
    let layers = Layers::new(initial[0].dims()[2], initial.iter().map(|weights| weights.dims()[3]));
    let places = Places::new(state.places(), resets.clone(), time, chunk);
    let position = state.position.clone();
    let resets = resets.map(|resets| resets.float().cast(FloatDType::from(dtype)));
    let inputs = Inputs {
        query: query.into_dispatch(),
        key: key.into_dispatch(),
        value: value.into_dispatch(),
        forget: forget.into_dispatch(),
        momentum: momentum.into_dispatch(),
        step: step.into_dispatch(),
        memory: flat(in_order(state)).into_dispatch(),
        initial: flat(initial).into_dispatch(),
        position: Maybe::Present(position.clone().detach().into_dispatch()),
        resets: Maybe::new(resets.map(Tensor::into_dispatch)),
    };
    let Outputs { output, memory } = Dispatch::neural_memory(inputs, Settings { chunk, layers });
    let [weights, momentum, start] = taken_apart(Tensor::from_dispatch(memory), &layers);
    let position = places.position(&position);
    let state = NeuralMemoryState { weights, momentum, start, position, chunk, surprise: None };
    (Tensor::from_dispatch(output), state)
}

/// The matrices of a state as they lie in `memory`.
fn in_order(state: NeuralMemoryState) -> Vec<Tensor<4>> {
    let pairs = state.weights.into_iter().zip(state.momentum);
    pairs.flat_map(|(weights, momentum)| [weights, momentum]).chain(state.start).collect()
}

/// Matrices `[b, h, in, out]` one after the other, `[b, h, 1, p]`.
fn flat(matrices: Vec<Tensor<4>>) -> Tensor<4> {
    let flat = matrices.into_iter().map(|matrix| {
        let [batch, heads, from, to] = matrix.dims();
        matrix.reshape([batch, heads, 1, from * to])
    });
    Tensor::cat(flat.collect(), 3)
}

/// `W`, `S` and `W*` of every layer out of `memory`.
fn taken_apart(memory: Tensor<4>, layers: &Layers) -> [Vec<Tensor<4>>; 3] {
    let [batch, heads, ..] = memory.dims();
    let mut at = 0;
    let mut take = |(from, to): (usize, usize)| {
        let matrix = memory.clone().narrow(3, at, from * to).reshape([batch, heads, from, to]);
        at += from * to;
        matrix
    };
    let (weights, momentum) =
        layers.extents().map(|extents| (take(extents), take(extents))).collect::<(Vec<_>, Vec<_>)>();
    let start = layers.extents().map(take).collect();
    [weights, momentum, start]
}
