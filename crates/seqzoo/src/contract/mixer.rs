//! The contract of every layer.

use super::{entrance, segments};
use crate::ops::{Form, Report, Segments};
use crate::{MixerState, StateError};
use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Bool, Device, Tensor};
use std::path::Path;

/// A layer that mixes information along time, with one set of parameters and two forms.
///
/// The law, tested for every layer on outputs, states and gradients: `forward` over a sequence =
/// `forward` over any split of it = `step` token by token. The caller owns the state.
///
/// Any type that derives [`Module`] can implement it, and then goes into a
/// [`LanguageModel`](crate::models::LanguageModel) like the layers of the zoo.
pub trait SequenceMixer: Module + ModuleDisplay {
    /// The memory of the layer between calls.
    type State: MixerState;

    /// The channels `D` of input and output.
    fn d_model(&self) -> usize;

    /// The state before the first token: `batch` sequences, on `device`.
    fn init_state(&self, batch: usize, device: &Device) -> Self::State;

    /// How tokens become outputs: `[B, T, D]` to `[B, T, D]`, continuing from `state`, with the state after the last
    /// token. `resets` is `[B, T]`, true where the state is cleared before the token.
    ///
    /// Callers want [`forward`](Self::forward), [`forward_packed`](Self::forward_packed) or [`step`](Self::step), which
    /// check their arguments first: there are sequences, tokens and `D` channels, and resets and state are of as many
    /// sequences.
    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State);

    /// `[B, T, D]` to `[B, T, D]`, continuing from `state` (or from the beginning), with the state
    /// after the last token. A batch of no sequences has an output and a state of none.
    ///
    /// # Panics
    ///
    /// As [`forward_packed`](Self::forward_packed).
    #[track_caller]
    fn forward(&self, input: Tensor<3>, state: Option<Self::State>) -> (Tensor<3>, Self::State) {
        self.forward_packed(input, None, state)
    }

    /// [`forward`](Self::forward) over sequences packed one after another, or over episodes:
    /// `resets` is `[B, T]`, true where the state is cleared before the token.
    ///
    /// # Panics
    ///
    /// If a shape disagrees, there are no tokens, or the state is of another layer or batch.
    #[track_caller]
    fn forward_packed(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<Self::State>,
    ) -> (Tensor<3>, Self::State) {
        entrance::check(self, &input, resets.as_ref(), state.as_ref());
        let [batch, _, _] = input.dims();
        if batch == 0 {
            return entrance::pass_empty(self, input, state);
        }
        let state = state.unwrap_or_else(|| self.init_state(batch, &input.device()));
        self.mix(input, resets, state)
    }

    /// Several sequences in every row, each with a state of its own: `[B, T, D]` to `[B, T, D]`, with a state of `N`
    /// sequences for `N` [`Segments`], which continue from `state` (or from the beginning). As if every one had been given
    /// alone; nothing is padded. A segment without tokens keeps its state.
    ///
    /// This is how a server advances streams that have different numbers of tokens to read. It takes one call of
    /// [`forward`](Self::forward) for every power of two in the lengths, at most `log₂(longest) + 1`, and copies the state
    /// as often.
    ///
    /// # Panics
    ///
    /// If a shape disagrees, there are no tokens, the state is of another layer or number of sequences, or the sequences
    /// of a batch share something in it: a position, a cache, or the inputs of a convolution that grow with the tokens.
    #[track_caller]
    fn forward_segments(
        &self,
        input: Tensor<3>,
        segments: &Segments,
        state: Option<Self::State>,
    ) -> (Tensor<3>, Self::State) {
        segments::check(self, &input, segments, state.as_ref());
        if input.dims()[0] == 0 {
            return entrance::pass_empty(self, input, state);
        }
        let state = state.unwrap_or_else(|| self.init_state(segments.count(), &input.device()));
        segments::forward(self, input, segments, state)
    }

    /// One token: `[B, D]` to `[B, D]`.
    ///
    /// # Panics
    ///
    /// As [`forward_packed`](Self::forward_packed).
    #[track_caller]
    fn step(&self, input: Tensor<2>, state: Self::State) -> (Tensor<2>, Self::State) {
        let (output, state) = self.forward(input.unsqueeze_dim(1), Some(state));
        (output.squeeze_dim(1), state)
    }

    /// Which form the layer's operator takes for `time` tokens on `device`, and why. A layer of several
    /// operators reports on the one that holds its memory.
    ///
    /// Default: plain tensor operations on the whole sequence.
    fn report(&self, time: usize, device: &Device) -> Report {
        let _ = (time, device);
        Report::form(Form::Parallel, "plain tensor operations")
    }

    /// What the layer wants added to the loss for the call that returned `state`, `[1]`, if anything. A state that was
    /// changed, saved or loaded since then has none.
    ///
    /// Default: nothing.
    fn auxiliary_loss(&self, state: &Self::State) -> Option<Tensor<1>> {
        let _ = state;
        None
    }

    /// Reads a state that [`MixerState::save`] wrote.
    ///
    /// # Errors
    ///
    /// See [`MixerState::load`].
    fn load_state(&self, path: impl AsRef<Path>, device: &Device) -> Result<Self::State, StateError> {
        self.init_state(1, device).load(path, device)
    }
}
