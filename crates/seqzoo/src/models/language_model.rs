//! A language model over any pattern of layers.

use super::block::{Block, Norm};
use super::config::LanguageModelConfig;
use super::landmarks::Landmarks;
use crate::contract::refusal;
use crate::ops::token_wise::linear::{Map, linear};
use crate::ops::{Form, Segments, accumulator, checks, to_dtype};
use crate::parts::{RoutingLoad, project};
use crate::state::{StateField, StateMapper, advanced};
use crate::{AnyState, Mixer, MixerState, SequenceMixer, StateError};
use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear};
use burn::tensor::{Bool, Device, Int, Tensor};
use std::path::Path;

/// A causal language model: embedding, pre-norm blocks, final norm, head.
///
/// ```text
/// h = E[tokens];   h = block_i(h) for each layer;   logits = W norm(h)
/// ```
///
/// Options of the [configuration](LanguageModelConfig) multiply the embedding, cap the logits, or keep `h` in `f32`.
///
/// It keeps the law of the zoo: [`forward`](Self::forward) over tokens = over any split of them =
/// one at a time, through a [`ModelState`].
///
/// With [`landmark_every`](LanguageModelConfig::landmark_every) it inserts landmarks between the tokens, in all entrances alike:
/// tokens and outputs are those of a model without, positions count tokens, and the states of the layers have seen the landmarks
/// as well.
///
/// `M` is the sequence mixer of every layer: [`Mixer`], any layer of the zoo chosen as data, or any other type that
/// implements [`SequenceMixer`].
///
/// Should be created with [`LanguageModelConfig`].
#[derive(Module, Debug)]
pub struct LanguageModel<M = Mixer> {
    /// Tokens to channels.
    pub embedding: Embedding,
    /// What stands in the places of landmarks, `[D]`, if the model inserts any.
    pub landmark: Option<Param<Tensor<1>>>,
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
    /// How evenly the tokens of the last call went to experts, for each layer that has some. No call reads it, and it is not
    /// kept where a state is changed.
    pub routing: Vec<Option<RoutingLoad>>,
}

impl<M: SequenceMixer> LanguageModel<M> {
    /// The configuration that the model was made from.
    pub fn config(&self) -> &LanguageModelConfig {
        &self.config
    }

    /// The state before the first token.
    pub fn init_state(&self, batch: usize, device: &Device) -> ModelState<M::State> {
        let layers = self.blocks.iter().map(|block| block.mixer.init_state(batch, device)).collect();
        ModelState { layers, position: 0, routing: vec![None; self.blocks.len()] }
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
    /// If there are no tokens, the state is of another model or batch, or the model inserts landmarks and there are resets.
    #[track_caller]
    pub fn hidden(
        &self,
        tokens: Tensor<2, Int>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<ModelState<M::State>>,
    ) -> (Tensor<3>, ModelState<M::State>) {
        let time = tokens.dims()[1];
        if resets.is_some() {
            self.refuse_landmarks("resets");
        }
        self.through(tokens, time, state, |block, hidden, state| block.mixed(hidden, resets.clone(), state))
    }

    /// [`hidden`](Self::hidden) of several sequences in every row, each with a state of its own: see
    /// [`SequenceMixer::forward_segments`]. The state is of `N` sequences for `N` segments; its position counts the tokens
    /// of the longest.
    ///
    /// # Panics
    ///
    /// As [`SequenceMixer::forward_segments`], and if the model inserts landmarks.
    #[track_caller]
    pub fn hidden_segments(
        &self,
        tokens: Tensor<2, Int>,
        segments: &Segments,
        state: Option<ModelState<M::State>>,
    ) -> (Tensor<3>, ModelState<M::State>) {
        self.refuse_landmarks("segments");
        let time = segments.longest();
        self.through(tokens, time, state, |block, hidden, state| {
            block.mixed_segments(hidden, segments, state)
        })
    }

    /// Why [`hidden_segments`](Self::hidden_segments) does not take this model, as a sentence; `None` where it does.
    pub fn segments_refusal(&self) -> Option<String> {
        if self.landmark.is_some() {
            return Some(landmarks_refuse("segments"));
        }
        let device = self.embedding.weight.val().device();
        self.blocks.iter().find_map(|block| refusal(&block.mixer.init_state(1, &device)))
    }

    /// Tokens through the embedding and all blocks, with a state that is `time` tokens further. `mixed` is the first half of
    /// a block.
    #[track_caller]
    fn through(
        &self,
        tokens: Tensor<2, Int>,
        time: usize,
        state: Option<ModelState<M::State>>,
        mixed: impl Fn(&Block<M>, Tensor<3>, Option<M::State>) -> (Tensor<3>, M::State),
    ) -> (Tensor<3>, ModelState<M::State>) {
        checks::not_empty("tokens", "time", tokens.dims()[1]);
        let first = state.as_ref().map_or(0, |state| state.position);
        let position = advanced(first, time);
        let mut states = match state {
            Some(state) => state.layers.into_iter().map(Some).collect(),
            None => vec![None; self.blocks.len()],
        };
        self.check_layers(states.len());
        let (landmarks, mut hidden) = self.embedded(tokens, first);
        let count = self.blocks.len();
        let (mut layers, mut routing) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (block, state) in self.blocks.iter().zip(&mut states) {
            let (output, state) = mixed(block, hidden, state.take());
            let (output, load) = block.after_mixing(output);
            hidden = output;
            layers.push(state);
            routing.push(load);
        }
        let hidden = landmarks.map_or(hidden.clone(), |landmarks| landmarks.remove(hidden));
        (hidden, ModelState { layers, position, routing })
    }

    /// What goes into the first layer for tokens after `position` others, and where landmarks are in it, if any are.
    pub(super) fn embedded(&self, tokens: Tensor<2, Int>, position: u64) -> (Option<Landmarks>, Tensor<3>) {
        let [batch, time] = tokens.dims();
        let embedded = self.embedding.forward(tokens);
        let every = self.config.landmark_every.filter(|_| batch > 0);
        match (every.and_then(|every| Landmarks::among(time, every, position)), &self.landmark) {
            (Some(landmarks), Some(landmark)) => {
                let all = landmarks.insert(embedded, landmark.val());
                (Some(landmarks), self.scaled(all))
            }
            _ => (None, self.scaled(embedded)),
        }
    }

    /// The beginning of the residual stream, from the embedding.
    fn scaled(&self, embedded: Tensor<3>) -> Tensor<3> {
        let LanguageModelConfig { embedding_scale, residual_in_fp32, .. } = *self.config;
        let scaled = if embedding_scale == 1.0 { embedded } else { embedded.mul_scalar(embedding_scale) };
        let dtype = scaled.dtype();
        to_dtype(scaled, if residual_in_fp32 { accumulator(dtype) } else { dtype })
    }

    /// Sequences of one row that begin at different places would have their landmarks at different places.
    #[track_caller]
    fn refuse_landmarks(&self, argument: &str) {
        assert!(self.landmark.is_none(), "{}", landmarks_refuse(argument));
    }

    /// Channels `[.., D]` to logits `[.., vocabulary]`: the final norm, the head, and the cap if there is one.
    ///
    /// # Panics
    ///
    /// If there are other channels than the model's.
    #[track_caller]
    pub fn logits<const D: usize>(&self, hidden: Tensor<D>) -> Tensor<D> {
        checks::channels("hidden", hidden.dims()[D - 1], self.config.d_model);
        let normed = self.norm.forward(hidden);
        let logits = match &self.head {
            Some(head) => project(head, normed),
            None => {
                let map = Map { weight: self.embedding.weight.val().transpose(), bias: None };
                let [logits] = linear(normed, [map], Form::Auto);
                logits
            }
        };
        match self.config.logit_cap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }

    /// What the layers want added to the loss for the call that returned `state`, `[1]`, if any of them want anything: see
    /// [`SequenceMixer::auxiliary_loss`], and [`MixtureOfExperts`](crate::parts::MixtureOfExperts) for feed-forwards.
    ///
    /// # Panics
    ///
    /// If the state is of another number of layers.
    #[track_caller]
    pub fn auxiliary_loss(&self, state: &ModelState<M::State>) -> Option<Tensor<1>> {
        self.check_layers(state.layers.len());
        let mixers = self.blocks.iter().zip(&state.layers);
        let mixers = mixers.filter_map(|(block, state)| block.mixer.auxiliary_loss(state));
        let experts = self.blocks.iter().zip(&state.routing).filter_map(|(block, load)| {
            let channels = block.channels.as_ref()?;
            channels.feed_forward.auxiliary_loss(load.as_ref()?)
        });
        mixers.chain(experts).reduce(|sum, loss| sum + loss)
    }

    #[track_caller]
    pub(super) fn check_layers(&self, found: usize) {
        let wanted = self.blocks.len();
        assert_eq!(
            found, wanted,
            "The argument `state` holds the states of {found} layers, but the model has {wanted}."
        );
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

fn landmarks_refuse(argument: &str) -> String {
    format!(
        "The argument `{argument}` is not taken by a model that inserts landmarks: it counts the tokens of a row from its \
         beginning."
    )
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
            routing: vec![None; self.routing.len()],
        }
    }
}
