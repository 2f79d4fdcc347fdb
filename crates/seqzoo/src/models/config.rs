//! The configuration of a language model.

use super::block::{ChannelMixerConfig, NormKind};
use crate::MixerConfig;
use crate::parts::ProjectionInit;
use burn::config::Config;

/// Configuration of [`LanguageModel`](super::LanguageModel).
#[derive(Config, Debug)]
pub struct LanguageModelConfig {
    /// How many tokens there are.
    pub vocab_size: usize,
    /// Channels of the residual stream.
    pub d_model: usize,
    /// The sequence mixers, one per layer; repeated from the front where `num_layers` is larger, so
    /// that a hybrid is a pattern. May be empty for [layers of your own](Self::init_with).
    pub pattern: Vec<MixerConfig>,
    /// The number of layers. Default: `None`, the length of the pattern.
    pub num_layers: Option<usize>,
    /// What comes after each sequence mixer. Default: a gated feed-forward of the usual width.
    #[config(default = "ChannelMixerConfig::SwiGlu")]
    pub channel_mixer: ChannelMixerConfig,
    /// Whether the head shares the embedding's weights. Default: `false`.
    #[config(default = false)]
    pub tie_embeddings: bool,
    /// The norm before every mixer and the head. Default: root-mean-square.
    #[config(default = "NormKind::Rms")]
    pub norm: NormKind,
    /// The epsilon of those norms. Default: `1e-6`.
    #[config(default = 1e-6)]
    pub norm_epsilon: f64,
    /// The standard deviation of the embedding and the head. Default: `0.02`.
    #[config(default = 0.02)]
    pub embedding_std: f64,
    /// How the feed-forwards are initialised; each mixer has its own setting. Default: uniform.
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}
