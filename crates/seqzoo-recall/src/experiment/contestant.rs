//! Who takes part: a pattern of layers under a name.

use crate::device;
use seqzoo::models::{ChannelMixerConfig, LanguageModelConfig, NormKind};
use seqzoo::{ConfigError, MixerConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The widest model that is taken for one and not for a mistake.
const MOST_CHANNELS: usize = 65_536;

/// What the models of all contestants have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Channels of the models; every contestant is tried at every width.
    pub widths: Vec<usize>,
    /// Whether a gated feed-forward stands behind every layer.
    #[serde(default)]
    pub feed_forward: bool,
    /// Whether the head shares the embedding's weights.
    #[serde(default = "yes")]
    pub tie_embeddings: bool,
    /// Layer normalisation in the place of root-mean-square normalisation.
    #[serde(default)]
    pub layer_norm: bool,
    /// The standard deviation of the embedding.
    #[serde(default = "usual_deviation")]
    pub embedding_std: f64,
}

fn yes() -> bool {
    true
}

fn usual_deviation() -> f64 {
    0.02
}

impl ModelSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.widths.is_empty() || !self.widths.iter().all(|width| (1..=MOST_CHANNELS).contains(width)) {
            return Err(format!(
                "`model.widths` must name at least one width, all from 1 to {MOST_CHANNELS}"
            ));
        }
        if !(self.embedding_std.is_finite() && self.embedding_std >= 0.0) {
            return Err(format!(
                "`model.embedding_std` is {}, but a finite number of at least 0 is wanted",
                self.embedding_std
            ));
        }
        Ok(())
    }

    /// The same but for the widths, which each run has one of.
    pub fn without_widths(&self) -> Self {
        Self { widths: Vec::new(), ..self.clone() }
    }

    /// The model of `layers` at `width`.
    pub fn model(
        &self,
        layers: &[Layer],
        width: usize,
        vocabulary: usize,
    ) -> Result<LanguageModelConfig, ConfigError> {
        let pattern = layers.iter().map(|layer| layer.config(width)).collect::<Result<_, _>>()?;
        Ok(LanguageModelConfig::new(vocabulary, width, pattern)
            .with_channel_mixer(match self.feed_forward {
                true => ChannelMixerConfig::SwiGlu,
                false => ChannelMixerConfig::None,
            })
            .with_tie_embeddings(self.tie_embeddings)
            .with_norm(match self.layer_norm {
                true => NormKind::Layer,
                false => NormKind::Rms,
            })
            .with_norm_epsilon(1e-5)
            .with_embedding_std(self.embedding_std))
    }
}

/// One layer: its kind, and what differs from the published defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The name of the layer in the zoo.
    pub kind: String,
    /// Its options. TOML has no null: the word `none` stands for it, to leave out a part that the
    /// published layer has.
    #[serde(flatten)]
    pub options: Map<String, Value>,
}

/// Leaves out what an option would otherwise give.
const NONE: &str = "none";

impl Layer {
    fn config(&self, width: usize) -> Result<MixerConfig, ConfigError> {
        let mut options = self.options.clone();
        for value in options.values_mut().filter(|value| **value == NONE) {
            *value = Value::Null;
        }
        MixerConfig::from_options(&self.kind, width, options)
    }
}

/// A pattern of layers under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contestant {
    /// The name in tables and plots.
    pub name: String,
    /// The layers, from the embedding to the head.
    pub layers: Vec<Layer>,
}

impl Contestant {
    /// Says what is wrong with a layer, if anything is, without drawing parameters for long.
    pub(super) fn check(&self, width: usize) -> Result<(), String> {
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return Err("its name must be printable and not empty".into());
        }
        if self.layers.is_empty() {
            return Err("it has no layers; name at least one".into());
        }
        let (_, device) = device::find(device::names().last().copied()).map_err(|error| error.to_string())?;
        for layer in &self.layers {
            layer
                .config(width)
                .and_then(|config| config.try_init(&device))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
