//! The channel mixers of a model.

use crate::ConfigError;
use crate::config::check_numbers;
use crate::parts::{GeGlu, MixtureOfExperts, MixtureOfExpertsConfig, ProjectionInit, RoutingLoad, SwiGlu};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

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
    /// A feed-forward with a gate of `gelu`, as in RecurrentGemma.
    GeGlu {
        /// Hidden channels.
        hidden: usize,
        /// Whether its projections have biases.
        bias: bool,
    },
    /// Many feed-forwards, of which every token takes a few, as in Qwen3-Next.
    MixtureOfExperts(MixtureOfExpertsConfig),
}

impl ChannelMixerConfig {
    /// Says why `subject` cannot have it on `d_model` channels, if anything is wrong.
    pub(super) fn check(&self, subject: &str, d_model: usize) -> Result<(), ConfigError> {
        let hidden = match *self {
            Self::None => return Ok(()),
            Self::SwiGlu => SwiGlu::usual_hidden(d_model),
            Self::SwiGluOf { hidden } | Self::GeGlu { hidden, .. } => hidden,
            Self::MixtureOfExperts(config) => return config.check(subject, d_model),
        };
        ConfigError::unless(hidden > 0, subject, || "the feed-forward's hidden width is 0".into())?;
        check_numbers(subject, "the feed-forward", &[d_model, hidden]).map(|_| ())
    }

    /// How many experts it has.
    pub(super) fn experts(&self) -> usize {
        match self {
            Self::MixtureOfExperts(config) => config.num_experts,
            _ => 0,
        }
    }
}

/// A feed-forward of any kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one per layer")]
pub enum FeedForward {
    /// Gated by `silu`.
    SwiGlu(SwiGlu),
    /// Gated by `gelu`.
    GeGlu(GeGlu),
    /// Experts behind a router.
    MixtureOfExperts(MixtureOfExperts),
}

impl FeedForward {
    /// What `config` describes, which is [checked](ChannelMixerConfig::check), if that is anything.
    pub(super) fn new(
        config: ChannelMixerConfig,
        d_model: usize,
        init: ProjectionInit,
        device: &Device,
    ) -> Option<Self> {
        let swiglu = |hidden| Some(Self::SwiGlu(SwiGlu::new(d_model, hidden, init, device)));
        match config {
            ChannelMixerConfig::None => None,
            ChannelMixerConfig::SwiGlu => swiglu(SwiGlu::usual_hidden(d_model)),
            ChannelMixerConfig::SwiGluOf { hidden } => swiglu(hidden),
            ChannelMixerConfig::GeGlu { hidden, bias } => {
                Some(Self::GeGlu(GeGlu::new(d_model, hidden, bias, init, device)))
            }
            ChannelMixerConfig::MixtureOfExperts(config) => {
                Some(Self::MixtureOfExperts(MixtureOfExperts::new(&config, d_model, init, device)))
            }
        }
    }

    /// `[B, T, D]` to `[B, T, D]`, and how the tokens went to experts, if there are any of both.
    #[track_caller]
    pub fn forward(&self, input: Tensor<3>) -> (Tensor<3>, Option<RoutingLoad>) {
        match self {
            Self::SwiGlu(swiglu) => (swiglu.forward(input), None),
            Self::GeGlu(geglu) => (geglu.forward(input), None),
            Self::MixtureOfExperts(experts) => experts.forward(input),
        }
    }

    /// What is to be added to the loss for a call with this load, `[1]`, if anything.
    pub fn auxiliary_loss(&self, load: &RoutingLoad) -> Option<Tensor<1>> {
        match self {
            Self::SwiGlu(_) | Self::GeGlu(_) => None,
            Self::MixtureOfExperts(experts) => experts.auxiliary_loss(load),
        }
    }
}
