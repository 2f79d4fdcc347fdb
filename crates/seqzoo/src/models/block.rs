//! One layer of a model: pre-norm sequence mixing, then pre-norm channel mixing.

use super::feed_forward::FeedForward;
use crate::ops::{Segments, to_dtype};
use crate::parts::{RmsNorm, RoutingLoad};
use crate::{Mixer, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Bool, DType, Device, Tensor};

/// Which normalisation stands before every mixer and the head.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum NormKind {
    /// Root-mean-square normalisation.
    Rms,
    /// The same with a scale that is kept as what it is [more than 1](RmsNorm::zero_centred), as in Qwen3-Next and
    /// RecurrentGemma.
    ZeroCentredRms,
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
            NormKind::ZeroCentredRms => Self::Rms(RmsNorm::zero_centred(channels, epsilon, device)),
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

    /// `[.., D]` to `[.., D]`, in the precision of its parameters.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Rms(norm) => to_dtype(norm.forward(input), self.dtype()),
            Self::Layer(norm) => norm.forward(to_dtype(input, self.dtype())),
        }
    }
}

/// A pre-norm feed-forward.
#[derive(Module, Debug)]
pub struct ChannelMixer {
    /// The norm before the feed-forward.
    pub norm: Norm,
    /// The feed-forward.
    pub feed_forward: FeedForward,
}

/// A layer: `h = x + mixer(norm(x))`, then `y = h + feed_forward(norm(h))` where there is a feed-forward.
///
/// The sums are in the precision of `x`, all else in that of the parameters.
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
        let (hidden, state) = self.mixed(input, resets, state);
        (self.after_mixing(hidden).0, state)
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
        let (hidden, state) = self.mixed_segments(input, segments, state);
        (self.after_mixing(hidden).0, state)
    }

    /// `h` of [`forward`](Self::forward), and the mixer's state.
    #[track_caller]
    pub(super) fn mixed(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<M::State>,
    ) -> (Tensor<3>, M::State) {
        let (mixed, state) = self.mixer.forward_packed(self.mixer_norm.forward(input.clone()), resets, state);
        (added(input, mixed), state)
    }

    /// `h` of [`forward_segments`](Self::forward_segments), and the mixer's state.
    #[track_caller]
    pub(super) fn mixed_segments(
        &self,
        input: Tensor<3>,
        segments: &Segments,
        state: Option<M::State>,
    ) -> (Tensor<3>, M::State) {
        let normed = self.mixer_norm.forward(input.clone());
        let (mixed, state) = self.mixer.forward_segments(normed, segments, state);
        (added(input, mixed), state)
    }

    /// `y` of `h`, and how the tokens went to experts, if there are any.
    pub(super) fn after_mixing(&self, hidden: Tensor<3>) -> (Tensor<3>, Option<RoutingLoad>) {
        let Some(ChannelMixer { norm, feed_forward }) = &self.channels else { return (hidden, None) };
        let (output, load) = feed_forward.forward(norm.forward(hidden.clone()));
        (added(hidden, output), load)
    }
}

/// The sum in the precision of the residual stream.
pub(super) fn added(residual: Tensor<3>, part: Tensor<3>) -> Tensor<3> {
    let dtype = residual.dtype();
    residual + to_dtype(part, dtype)
}
