//! Gates, state and options.

use super::surprise::Surprise;
use crate::Form;
use crate::fast_weights::{for_batch, places::read_places};
use crate::segments::Segments;
use burn::tensor::{Bool, Tensor};

/// The gates of every token, one number per token and head, `[B, T, H]` each (or fewer heads that divide `H`).
#[derive(Clone, Debug)]
pub struct Gates {
    /// `α`: how much of the weights is forgotten, from 0 (nothing) to 1 (all).
    pub forget: Tensor<3>,
    /// `η`: how much of the momentum stays, from 0 (none) to 1 (all).
    pub momentum: Tensor<3>,
    /// `θ`: the step along the gradient; at 0 nothing is learned, and what momentum there is still moves the weights.
    pub step: Tensor<3>,
}

/// Options of [`neural_memory`](super::neural_memory).
#[derive(Clone, Debug)]
pub struct NeuralMemoryOptions {
    /// The state before the first token. `None`: the initial weights, without momentum, at the start of a chunk.
    pub initial_state: Option<NeuralMemoryState>,
    /// Tokens whose gradients are taken at the same weights, those before the first of them. 1 is the online memory.
    /// This is part of what is computed; how many tokens are worked on at once is said by `form`. Default: 16.
    pub chunk: usize,
    /// Whether the memory adds its input to its answer, `M(x) = x + f(x)`. Default: `false`.
    pub residual: bool,
    /// Whether the returned state says how far every token surprised the memory. Default: `false`.
    pub surprise: bool,
    /// `[B, T]`, true where the memory returns to its initial weights before the token, and a chunk begins.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences in every row, each with a state of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it.
    pub form: Form,
}

impl Default for NeuralMemoryOptions {
    fn default() -> Self {
        Self {
            initial_state: None,
            chunk: 16,
            residual: false,
            surprise: false,
            resets: None,
            segments: None,
            form: Form::Auto,
        }
    }
}

/// A neural memory between two tokens. The vectors have an entry per layer of the memory.
#[derive(Clone, Debug)]
pub struct NeuralMemoryState {
    /// The weights `W`, `[B, H, in, out]`.
    pub weights: Vec<Tensor<4>>,
    /// The momentum `S`, `[B, H, in, out]`.
    pub momentum: Vec<Tensor<4>>,
    /// The weights at which the gradient of the next token is taken, `[B, H, in, out]`: those at the start of its chunk.
    pub start: Vec<Tensor<4>>,
    /// How many tokens of its chunk each sequence has read, `[B]`, from 0 to `chunk - 1`.
    pub position: Tensor<1>,
    /// Tokens of a chunk, as in the [options](NeuralMemoryOptions) under which the state was reached.
    pub chunk: usize,
    /// What the tokens of the last call were to the memory, if that was asked for. No call reads it.
    pub surprise: Option<Surprise>,
}

impl NeuralMemoryState {
    /// The state of `batch` sequences before the first token: `weights`, `[B, H, in, out]` or `[1, H, in, out]` for every
    /// layer, without momentum, at the start of a chunk of `chunk` tokens.
    ///
    /// # Panics
    ///
    /// If there are no layers.
    #[track_caller]
    pub fn new(weights: Vec<Tensor<4>>, batch: usize, chunk: usize) -> Self {
        let weights: Vec<_> = weights.into_iter().map(|weights| for_batch(weights, batch)).collect();
        let first =
            weights.first().expect("The argument `weights` is empty, but a memory has at least one layer.");
        Self {
            momentum: weights.iter().map(Tensor::zeros_like).collect(),
            start: weights.clone(),
            position: Tensor::zeros([first.dims()[0]], (&first.device(), first.dtype())),
            chunk,
            surprise: None,
            weights,
        }
    }

    /// [`position`](Self::position), read from the device.
    ///
    /// # Panics
    ///
    /// If one of them is not a place in a chunk.
    #[track_caller]
    pub fn places(&self) -> Vec<usize> {
        read_places(&self.position, self.chunk)
    }
}
