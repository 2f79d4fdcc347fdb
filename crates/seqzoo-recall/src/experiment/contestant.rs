//! Who takes part: a pattern of layers under a name.

use super::check_rates;
use crate::error::ensure;
use seqzoo::layers::{LandmarkChoice, RetrievalConfig};
use seqzoo::models::{ChannelMixerConfig, LanguageModelConfig, NormKind};
use seqzoo::{ConfigError, MixerConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A wider model is taken for a mistake.
const MAX_CHANNELS: usize = 65_536;

/// Settings that the models of all contestants share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Channels of the models; every contestant is tried at every width.
    pub widths: Vec<usize>,
    /// Whether a gated feed-forward follows every layer.
    #[serde(default)]
    pub feed_forward: bool,
    /// Whether the head shares the embedding's weights.
    #[serde(default = "yes")]
    pub tie_embeddings: bool,
    /// Layer normalisation instead of root-mean-square normalisation.
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
        ensure!(
            !self.widths.is_empty() && self.widths.iter().all(|width| (1..=MAX_CHANNELS).contains(width)),
            "`model.widths` must name at least one width, all from 1 to {MAX_CHANNELS}"
        );
        let deviation = self.embedding_std;
        ensure!(
            deviation.is_finite() && deviation >= 0.0,
            "`model.embedding_std` is {deviation}, but a finite number of at least 0 is wanted"
        );
        Ok(())
    }

    /// The same but for the widths, which each run has one of.
    pub fn without_widths(&self) -> Self {
        Self { widths: Vec::new(), ..self.clone() }
    }

    /// The model of `layers` at `width`. It inserts the landmarks of layers that have any.
    pub fn model(
        &self,
        layers: &[Layer],
        width: usize,
        vocabulary: usize,
    ) -> Result<LanguageModelConfig, ConfigError> {
        let pattern = layers.iter().map(|layer| layer.config(width)).collect::<Result<Vec<_>, _>>()?;
        let landmark_every = pattern.iter().find_map(|layer| match layer {
            MixerConfig::LandmarkAttention(config) => Some(config.block.saturating_sub(1)),
            _ => None,
        });
        Ok(LanguageModelConfig::new(vocabulary, width, pattern)
            .with_landmark_every(landmark_every)
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

/// How a layer of landmark attention reads tests: only some of the blocks before a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieval {
    /// How many blocks beside the current one.
    pub top_k: usize,
    /// Who chooses them. Default: every head for every token.
    #[serde(default = "usual_choice")]
    pub choice: LandmarkChoice,
}

fn usual_choice() -> LandmarkChoice {
    LandmarkChoice::PerHeadAndToken
}

impl Retrieval {
    /// As the library takes it.
    pub fn config(&self) -> RetrievalConfig {
        RetrievalConfig::new(self.top_k).with_choice(self.choice)
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
    /// A width of its own, in place of the experiment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Bytes that it may remember with: the state of one sequence after the longest test example, without the last
    /// inputs of convolutions. An option with the value `"solve"`, or else the width, is chosen so that the state
    /// comes closest; further off than a tenth is an error. If nothing is left open, it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<usize>,
    /// The size that was chosen for `state_bytes`, in words. The tool writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Learning rates of its own, where it learns at others than the rest. Empty: those of the experiment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning_rates: Vec<f64>,
    /// How its layers of landmark attention read tests. `None`: all blocks, as in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
}

/// More blocks than this are taken for a mistake.
const MAX_READ: usize = 1024;

/// The name of the layer that has blocks.
const WITH_BLOCKS: &str = "landmark_attention";

impl Contestant {
    /// Says what is wrong with the contestant but for its layers, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        let printable = !self.name.trim().is_empty() && !self.name.chars().any(char::is_control);
        ensure!(printable, "its name must be printable and not empty");
        ensure!(!self.layers.is_empty(), "it has no layers; name at least one");
        ensure!(
            self.width.is_none_or(|width| (1..=MAX_CHANNELS).contains(&width)),
            "its `width` must be from 1 to {MAX_CHANNELS}"
        );
        if let Some(Retrieval { top_k, .. }) = self.retrieval {
            let has_blocks = self.layers.iter().any(|layer| layer.kind == WITH_BLOCKS);
            ensure!(has_blocks, "its `retrieval` chooses blocks, but it has no layer `{WITH_BLOCKS}`");
            ensure!((1..=MAX_READ).contains(&top_k), "its `retrieval.top_k` must be from 1 to {MAX_READ}");
        }
        check_rates(&self.learning_rates)
    }
}
