//! The configuration of a language model.

use super::block::NormKind;
use super::build::NAME;
use super::feed_forward::ChannelMixerConfig;
use crate::config::{Unrepeated, read};
use crate::parts::ProjectionInit;
use crate::{ConfigError, MixerConfig};
use burn::config::Config;
use serde_json::{Map, Value};

/// Configuration of [`LanguageModel`](super::LanguageModel).
///
/// [`from_json`](Self::from_json) reads it. Burn's own `load` wants every field, and ignores those that it does not know.
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
    /// The same where layers differ: one for each, repeated from the front like the pattern of sequence mixers, in place of
    /// `channel_mixer`. Default: empty, all layers have `channel_mixer`.
    #[config(default = "Vec::new()")]
    pub channel_pattern: Vec<ChannelMixerConfig>,
    /// Whether the head shares the embedding's weights. Default: `false`.
    #[config(default = false)]
    pub tie_embeddings: bool,
    /// After how many tokens of the sequence the model inserts a landmark: a token of its own, which runs through all layers and
    /// has no output. Every [`LandmarkAttention`](crate::layers::LandmarkAttention) of the pattern has blocks of as many tokens
    /// and the landmark. Such a model takes no resets and no segments. Default: `None`, never.
    pub landmark_every: Option<usize>,
    /// The norm before every mixer and the head. Default: root-mean-square.
    #[config(default = "NormKind::Rms")]
    pub norm: NormKind,
    /// The epsilon of those norms. Default: `1e-6`.
    #[config(default = 1e-6)]
    pub norm_epsilon: f64,
    /// The standard deviation of the embedding and the head. Default: `0.02`.
    #[config(default = 0.02)]
    pub embedding_std: f64,
    /// Multiplies what the embedding gives, as `√D` does in Gemma; not the head that shares its weights. Default: `1.0`.
    #[config(default = 1.0)]
    pub embedding_scale: f64,
    /// No logit is above this or below its negative: `cap · tanh(logits / cap)`. Default: `None`, they are as the head gives
    /// them.
    pub logit_cap: Option<f64>,
    /// Whether the sums of the residual stream are in `f32`, or wider, where the parameters are narrower. Default: `false`,
    /// they are in the precision of the parameters.
    #[config(default = false)]
    pub residual_in_fp32: bool,
    /// How the feed-forwards are initialised; each mixer has its own setting. Default: uniform.
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

/// The fields without a default.
const REQUIRED: [&str; 3] = ["vocab_size", "d_model", "pattern"];

impl LanguageModelConfig {
    /// What comes after the sequence mixer of the layer `index`.
    pub fn channel_mixer_of(&self, index: usize) -> ChannelMixerConfig {
        match index.checked_rem(self.channel_pattern.len()) {
            Some(place) => self.channel_pattern[place],
            None => self.channel_mixer,
        }
    }

    /// Reads a configuration from JSON. What is not given has its default.
    ///
    /// # Errors
    ///
    /// If the text is no JSON object, a field without a default is missing, a field is unknown, at any depth, or given
    /// twice, or its value is of the wrong type.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let Unrepeated(value) =
            serde_json::from_str(text).map_err(|error| ConfigError::new(NAME, error.to_string()))?;
        let Value::Object(fields) = value else {
            return Err(ConfigError::new(NAME, "its configuration is not a JSON object"));
        };
        Self::from_fields(fields)
    }

    /// The configuration of these fields, as [`from_json`](Self::from_json) reads them.
    pub(super) fn from_fields(fields: Map<String, Value>) -> Result<Self, ConfigError> {
        if let Some(missing) = REQUIRED.into_iter().find(|name| !fields.contains_key(*name)) {
            return Err(ConfigError::new(NAME, format!("`{missing}` is missing, and has no default")));
        }
        read(NAME, &Self::new(0, 0, Vec::new()), fields)
    }
}
