//! One layer of a model: pre-norm sequence mixing, then pre-norm channel mixing.

use super::config::NormKind;
use crate::parts::{RmsNorm, SwiGlu};
use crate::{AnyState, Mixer, SequenceMixer};
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Bool, Device, Tensor};

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
    /// The norm in front.
    pub norm: Norm,
    /// The feed-forward.
    pub swiglu: SwiGlu,
}

/// A layer: `h = x + mixer(norm(x))`, then `y = h + swiglu(norm(h))` where there is a feed-forward.
#[derive(Module, Debug)]
pub struct Block {
    /// The norm before the sequence mixer.
    pub mixer_norm: Norm,
    /// The sequence mixer.
    pub mixer: Mixer,
    /// The channel mixer, if any.
    pub channels: Option<ChannelMixer>,
}

impl Block {
    /// `[B, T, D]` to `[B, T, D]`, and the mixer's state after the last token.
    pub fn forward(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<AnyState>,
    ) -> (Tensor<3>, AnyState) {
        let (mixed, state) = self.mixer.forward_packed(self.mixer_norm.forward(input.clone()), resets, state);
        let hidden = input + mixed;
        let output = match &self.channels {
            Some(channels) => hidden.clone() + channels.swiglu.forward(channels.norm.forward(hidden)),
            None => hidden,
        };
        (output, state)
    }
}
