//! One layer of a model: pre-norm sequence mixing, then pre-norm channel mixing.

use crate::ops::Segments;
use crate::parts::{RmsNorm, SwiGlu};
use crate::{Mixer, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Bool, DType, Device, Tensor};

/// The part that mixes the channels of each token after the sequence mixer.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum ChannelMixerConfig {
    /// Nothing: a block is a sequence mixer alone, as in recall benchmarks.
    None,
    /// A gated feed-forward of the usual width, see [`SwiGlu::usual_hidden`].
    SwiGlu,
    /// A gated feed-forward of the width given.
    SwiGluOf {
        /// Hidden channels.
        hidden: usize,
    },
}

/// Which normalisation stands before every mixer and the head.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum NormKind {
    /// Root-mean-square normalisation.
    Rms,
    /// Layer normalisation.
    Layer,
}

/// A normalisation over the channels of each token.
#[derive(Module, Debug)]
pub enum Norm {
    /// Root-mean-square normalisation.
    Rms(RmsNorm),
    /// Layer normalisation.
    Layer(LayerNorm),
}

impl Norm {
    pub(super) fn new(kind: NormKind, channels: usize, epsilon: f64, device: &Device) -> Self {
        match kind {
            NormKind::Rms => Self::Rms(RmsNorm::new(channels, epsilon, device)),
            NormKind::Layer => Self::Layer(LayerNormConfig::new(channels).with_epsilon(epsilon).init(device)),
        }
    }

    /// The precision of its parameters.
    pub(super) fn dtype(&self) -> DType {
        match self {
            Self::Rms(norm) => norm.gamma.val().dtype(),
            Self::Layer(norm) => norm.gamma.val().dtype(),
        }
    }

    /// `[.., D]` to `[.., D]`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => norm.forward(input),
            Self::Layer(norm) => norm.forward(input),
        }
    }
}

/// A pre-norm feed-forward.
#[derive(Module, Debug)]
pub struct ChannelMixer {
    /// The norm before the feed-forward.
    pub norm: Norm,
    /// The feed-forward.
    pub swiglu: SwiGlu,
}

/// A layer: `h = x + mixer(norm(x))`, then `y = h + swiglu(norm(h))` where there is a feed-forward.
#[derive(Module, Debug)]
pub struct Block<M = Mixer> {
    /// The norm before the sequence mixer.
    pub mixer_norm: Norm,
    /// The sequence mixer.
    pub mixer: M,
    /// The channel mixer, if any.
    pub channels: Option<ChannelMixer>,
}

impl<M: SequenceMixer> Block<M> {
    /// `[B, T, D]` to `[B, T, D]`, and the mixer's state after the last token.
    pub fn forward(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<M::State>,
    ) -> (Tensor<3>, M::State) {
        let (mixed, state) = self.mixer.forward_packed(self.mixer_norm.forward(input.clone()), resets, state);
        (self.after_mixing(input + mixed), state)
    }

    /// The same of several sequences in every row: see [`SequenceMixer::forward_segments`].
    ///
    /// # Panics
    ///
    /// As the mixer does.
    #[track_caller]
    pub fn forward_segments(
        &self,
        input: Tensor<3>,
        segments: &Segments,
        state: Option<M::State>,
    ) -> (Tensor<3>, M::State) {
        let normed = self.mixer_norm.forward(input.clone());
        let (mixed, state) = self.mixer.forward_segments(normed, segments, state);
        (self.after_mixing(input + mixed), state)
    }

    /// The rest of the layer after the sequence mixer's part has been added.
    pub(super) fn after_mixing(&self, hidden: Tensor<3>) -> Tensor<3> {
        match &self.channels {
            Some(channels) => hidden.clone() + channels.swiglu.forward(channels.norm.forward(hidden)),
            None => hidden,
        }
    }
}
