//! A language model over any pattern of layers.

use super::block::{Block, Norm};
use super::config::LanguageModelConfig;
use crate::ops::checks;
use crate::parts::{empty_product, project};
use crate::state::{StateField, StateMapper, advanced};
use crate::{AnyState, Mixer, MixerState, SequenceMixer, StateError};
use burn::module::Module;
use burn::nn::{Embedding, Linear};
use burn::tensor::{Bool, Device, Int, Tensor};
use std::path::Path;

/// A causal language model: embedding, pre-norm blocks, final norm, head.
///
/// ```text
/// h = E[tokens];   h = block_i(h) for each layer;   logits = W norm(h)
/// ```
///
/// It keeps the law of the zoo: [`forward`](Self::forward) over tokens = over any split of them =
/// one at a time, through a [`ModelState`].
///
/// `M` is the sequence mixer of every layer: [`Mixer`], any layer of the zoo chosen as data, or any other type that
/// implements [`SequenceMixer`].
///
/// Should be created with [`LanguageModelConfig`].
#[derive(Module, Debug)]
pub struct LanguageModel<M = Mixer> {
    /// Tokens to channels.
    pub embedding: Embedding,
    /// The layers.
    pub blocks: Vec<Block<M>>,
    /// The norm before the head.
    pub norm: Norm,
    /// Channels to logits. `None`: the embedding's weights.
    pub head: Option<Linear>,
    #[module(skip)]
    pub(super) config: Box<LanguageModelConfig>,
}

/// The states of all layers, and how many tokens have passed.
#[derive(Clone, Debug)]
pub struct ModelState<S = AnyState> {
    /// One state per layer.
    pub layers: Vec<S>,
    /// How many tokens have passed.
    pub position: u64,
}

impl<M: SequenceMixer> LanguageModel<M> {
    /// The configuration that the model was made from.
    pub fn config(&self) -> &LanguageModelConfig {
        &self.config
    }

    /// The state before the first token.
    pub fn init_state(&self, batch: usize, device: &Device) -> ModelState<M::State> {
        let layers = self.blocks.iter().map(|block| block.mixer.init_state(batch, device)).collect();
        ModelState { layers, position: 0 }
    }

    /// Tokens `[B, T]` to logits `[B, T, vocabulary]`, and the state after the last token. A batch of no sequences has
    /// logits and a state of none.
    ///
    /// # Panics
    ///
    /// As [`hidden`](Self::hidden).
    #[track_caller]
    pub fn forward(
        &self,
        tokens: Tensor<2, Int>,
        state: Option<ModelState<M::State>>,
    ) -> (Tensor<3>, ModelState<M::State>) {
        let (hidden, state) = self.hidden(tokens, None, state);
        (self.logits(hidden), state)
    }

    /// Tokens `[B, T]` to the channels before the head `[B, T, D]`: what to select from where
    /// only some positions are scored. `resets` as in [`SequenceMixer::forward_packed`].
    ///
    /// # Panics
    ///
    /// If there are no tokens, or the state is of another model or batch.
    #[track_caller]
    pub fn hidden(
        &self,
        tokens: Tensor<2, Int>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<ModelState<M::State>>,
    ) -> (Tensor<3>, ModelState<M::State>) {
        let time = tokens.dims()[1];
        checks::not_empty("tokens", "time", time);
        let position = advanced(state.as_ref().map_or(0, |state| state.position), time);
        let mut states = match state {
            Some(state) => state.layers.into_iter().map(Some).collect(),
            None => vec![None; self.blocks.len()],
        };
        assert_eq!(
            states.len(),
            self.blocks.len(),
            "The argument `state` holds the states of {} layers, but the model has {}.",
            states.len(),
            self.blocks.len()
        );
        let mut hidden = self.embedding.forward(tokens);
        let mut layers = Vec::with_capacity(self.blocks.len());
        for (block, state) in self.blocks.iter().zip(&mut states) {
            let (output, state) = block.forward(hidden, resets.clone(), state.take());
            hidden = output;
            layers.push(state);
        }
        (hidden, ModelState { layers, position })
    }

    /// Channels `[.., D]` to logits `[.., vocabulary]`: the final norm and the head.
    ///
    /// # Panics
    ///
    /// If there are other channels than the model's.
    #[track_caller]
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        checks::channels("hidden", hidden.dims()[D - 1], self.config.d_model);
        let empty = hidden.dims().contains(&0);
        let normed = self.norm.forward(hidden);
        match &self.head {
            Some(head) => project(head, normed),
            None if empty => empty_product(normed, self.config.vocab_size),
            None => burn::tensor::module::linear(normed, self.embedding.weight.val().transpose(), None),
        }
    }

    /// Reads a state that [`MixerState::save`] wrote.
    ///
    /// # Errors
    ///
    /// See [`MixerState::load`].
    pub fn load_state(
        &self,
        path: impl AsRef<Path>,
        device: &Device,
    ) -> Result<ModelState<M::State>, StateError> {
        self.init_state(1, device).load(path, device)
    }
}

impl<S: MixerState> MixerState for ModelState<S> {
    fn layer(&self) -> String {
        let layers: Vec<String> = self.layers.iter().map(MixerState::layer).collect();
        format!("language_model[{}]", layers.join(", "))
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        Self {
            layers: self.layers.map_field("layers", mapper),
            position: mapper.number("position", self.position),
        }
    }
}
