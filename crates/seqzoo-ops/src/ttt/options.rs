//! The inner model, its steps, state and options.

use crate::Form;
use crate::fast_weights::for_batch;
use crate::fast_weights::places::{Places, read_places};
use burn::tensor::{Bool, Int, Tensor, TensorData};

/// The weights of an inner model, an entry per layer: one layer is TTT-Linear, two are TTT-MLP.
#[derive(Clone, Debug)]
pub struct InnerModel {
    /// `W`, `[B, H, in, out]`.
    pub weights: Vec<Tensor<4>>,
    /// `b`, `[B, H, 1, out]`.
    pub biases: Vec<Tensor<4>>,
}

impl InnerModel {
    /// Every tensor replaced by what `change` makes of it.
    pub fn map(self, mut change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Self {
        let weights = self.weights.into_iter().map(&mut change).collect();
        Self { weights, biases: self.biases.into_iter().map(change).collect() }
    }

    /// Zeros of the same shapes.
    pub(super) fn zeros_like(&self) -> Self {
        self.clone().map(|tensor| tensor.zeros_like())
    }
}

/// The layer norm after the inner model, of every head by itself.
#[derive(Clone, Debug)]
pub struct InnerNorm {
    /// The gain `w`, `[H, K]`.
    pub gain: Tensor<2>,
    /// The offset `c`, `[H, K]`.
    pub offset: Tensor<2>,
}

/// How far the weights move, one number per token and head, `[B, T, H]` each (or fewer heads that divide `H`).
#[derive(Clone, Debug)]
pub struct Steps {
    /// `η`: multiplies all gradients of the chunk in what *this* token reads; that of its last token in what the chunk
    /// leaves.
    pub read: Tensor<3>,
    /// `λ`: multiplies the gradient of this token, whoever reads it. `None`: 1.
    pub write: Option<Tensor<3>>,
}

/// What is added to the normed answer of the inner model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Residual {
    /// The answer before the norm, `o = y + LN(y)`, as in flash-linear-attention.
    #[default]
    Answer,
    /// The scaled query, `o = scale · q + LN(y)`, as in the paper, whose inner model is `x + LN(f(x))`.
    Query,
}

/// Options of [`ttt`](super::ttt).
#[derive(Clone, Debug)]
pub struct TttOptions {
    /// The state before the first token. `None`: the initial weights, at the start of a chunk.
    pub initial_state: Option<TttState>,
    /// Tokens whose gradients are taken at the same weights, those before the first of them (the paper's mini-batch).
    /// This is part of what is computed; how many tokens are worked on at once is said by `form`. Default: 16.
    pub chunk: usize,
    /// What multiplies the queries. `None`: `K^-1/2`.
    pub scale: Option<f64>,
    /// What is added to the normed answer. Default: [`Residual::Answer`].
    pub residual: Residual,
    /// The epsilon of the layer norm, added to the variance. Default: `1e-6`.
    pub norm_epsilon: f64,
    /// `[B, T]`, true where the inner model returns to its initial weights before the token, and a chunk begins.
    pub resets: Option<Tensor<2, Bool>>,
    /// How to compute it.
    pub form: Form,
}

impl Default for TttOptions {
    fn default() -> Self {
        Self {
            initial_state: None,
            chunk: 16,
            scale: None,
            residual: Residual::Answer,
            norm_epsilon: 1e-6,
            resets: None,
            form: Form::Auto,
        }
    }
}

/// An inner model between two tokens.
///
/// In the middle of a chunk it is the weights *before* that chunk and the sums of its gradients, not the weights that the
/// last token has read: later tokens multiply these sums by steps of their own. After the last token of a chunk the sums
/// are in the weights, by its step, and zero.
#[derive(Clone, Debug)]
pub struct TttState {
    /// The weights at the start of the chunk.
    pub model: InnerModel,
    /// The sums of the gradients of the chunk's tokens so far, each times its `λ`: `Σ x_sᵀ δ_s` instead of the weights,
    /// `Σ δ_s` instead of the biases. At the place 0 they are zero, and not read.
    pub gradients: InnerModel,
    /// How many tokens of its chunk each sequence has read, `[B]`, from 0 to `chunk - 1`.
    pub position: Tensor<1>,
    /// Tokens of a chunk, as in the [options](TttOptions) under which the state was reached.
    pub chunk: usize,
}

impl TttState {
    /// The state of `batch` sequences before the first token: `model` has the weights of every sequence, or those of all
    /// in one, at the start of a chunk of `chunk` tokens.
    ///
    /// # Panics
    ///
    /// If there are no layers.
    #[track_caller]
    pub fn new(model: InnerModel, batch: usize, chunk: usize) -> Self {
        assert!(!model.weights.is_empty(), "{NO_LAYERS}");
        let model = model.map(|tensor| for_batch(tensor, batch));
        let first = &model.weights[0];
        let position = Tensor::zeros([first.dims()[0]], (&first.device(), first.dtype()));
        Self { gradients: model.zeros_like(), position, chunk, model }
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

    /// The places in their chunks of `time` tokens that follow this state, `[B, T]`, from 0 to `chunk - 1`. Positions and
    /// resets are read from the device.
    ///
    /// # Panics
    ///
    /// If the state is at no place in a chunk, or there are no sequences or no tokens.
    #[track_caller]
    pub fn places_of(&self, time: usize, resets: Option<&Tensor<2, Bool>>) -> Tensor<2, Int> {
        let places = Places::new(self.places(), resets.cloned(), time, self.chunk);
        let places: Vec<i64> = places.positions.into_iter().flatten().map(|place| place as i64).collect();
        let shape = [places.len() / time, time];
        Tensor::from_data(TensorData::new(places, shape), &self.position.device())
    }
}

/// What is said where there are no layers.
pub(super) const NO_LAYERS: &str =
    "The argument `model` has no weights, but an inner model has at least one layer.";
