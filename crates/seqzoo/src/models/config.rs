//! What a language model is made of.

use super::block::{Block, ChannelMixer, Norm};
use super::language_model::LanguageModel;
use crate::parts::{ProjectionInit, SwiGlu};
use crate::{ConfigError, MixerConfig};
use burn::config::Config;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{EmbeddingConfig, Initializer, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

const NAME: &str = "language model";

/// What mixes the channels of each token behind the sequence mixer.
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

/// Configuration of [`LanguageModel`].
#[derive(Config, Debug)]
pub struct LanguageModelConfig {
    /// How many tokens there are.
    pub vocab_size: usize,
    /// Channels of the residual stream.
    pub d_model: usize,
    /// The sequence mixers, one per layer; repeated from the front where `num_layers` is larger, so
    /// that a hybrid is a pattern.
    pub pattern: Vec<MixerConfig>,
    /// The number of layers; the length of the pattern where absent.
    pub num_layers: Option<usize>,
    /// What stands behind each sequence mixer.
    #[config(default = "ChannelMixerConfig::SwiGlu")]
    pub channel_mixer: ChannelMixerConfig,
    /// Whether the head shares the embedding's weights.
    #[config(default = false)]
    pub tie_embeddings: bool,
    /// The norm before every mixer and the head.
    #[config(default = "NormKind::Rms")]
    pub norm: NormKind,
    /// The epsilon of those norms.
    #[config(default = 1e-6)]
    pub norm_epsilon: f64,
    /// The standard deviation of the embedding and the head.
    #[config(default = 0.02)]
    pub embedding_std: f64,
    /// How the feed-forwards are initialised; each mixer has its own setting.
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl LanguageModelConfig {
    /// The model, every parameter drawn: parameters of Burn are otherwise drawn at their first use,
    /// which would make a seed depend on what comes between.
    ///
    /// # Errors
    ///
    /// If there are no tokens, channels or layers, a layer's channels are not the model's, or a
    /// layer's configuration describes no layer.
    pub fn try_init(&self, device: &Device) -> Result<LanguageModel, ConfigError> {
        let wanted = |holds, problem: String| ConfigError::unless(holds, NAME, || problem);
        wanted(self.vocab_size > 0, "vocab_size is 0; give it at least 1 token".into())?;
        wanted(self.d_model > 0, "d_model is 0; give it at least 1 channel".into())?;
        wanted(!self.pattern.is_empty(), "the pattern names no layer; name at least one".into())?;
        ConfigError::unless_finite(NAME, "embedding_std", self.embedding_std)?;
        ConfigError::unless_finite(NAME, "norm_epsilon", self.norm_epsilon)?;
        self.initializer.check(NAME)?;
        let count = self.num_layers.unwrap_or(self.pattern.len());
        wanted(count > 0, "num_layers is 0; give it at least 1".into())?;

        let blocks = (0..count)
            .map(|index| self.block(&self.pattern[index % self.pattern.len()], device))
            .collect::<Result<_, _>>()?;
        let normal = Initializer::Normal { mean: 0.0, std: self.embedding_std };
        let model = LanguageModel {
            embedding: EmbeddingConfig::new(self.vocab_size, self.d_model)
                .with_initializer(normal.clone())
                .init(device),
            blocks,
            norm: self.norm(device),
            head: (!self.tie_embeddings).then(|| {
                LinearConfig::new(self.d_model, self.vocab_size)
                    .with_bias(false)
                    .with_initializer(normal)
                    .init(device)
            }),
            config: Box::new(self.clone()),
        };
        draw_parameters(&model);
        Ok(model)
    }

    /// The model.
    ///
    /// # Panics
    ///
    /// Where [`try_init`](Self::try_init) returns an error, with its text.
    pub fn init(&self, device: &Device) -> LanguageModel {
        self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
    }

    fn block(&self, mixer: &MixerConfig, device: &Device) -> Result<Block, ConfigError> {
        let d_model = self.d_model;
        ConfigError::unless(mixer.d_model() == d_model, NAME, || {
            format!(
                "the layer {} has d_model = {}, the model {d_model}; they must be equal",
                mixer.kind(),
                mixer.d_model()
            )
        })?;
        let hidden = match self.channel_mixer {
            ChannelMixerConfig::None => None,
            ChannelMixerConfig::SwiGlu => Some(SwiGlu::usual_hidden(d_model)),
            ChannelMixerConfig::SwiGluOf { hidden } => {
                ConfigError::unless(hidden > 0, NAME, || "the feed-forward's hidden width is 0".into())?;
                Some(hidden)
            }
        };
        Ok(Block {
            mixer_norm: self.norm(device),
            mixer: mixer.try_init(device)?,
            channels: hidden.map(|hidden| ChannelMixer {
                norm: self.norm(device),
                swiglu: SwiGlu::new(d_model, hidden, self.initializer, device),
            }),
        })
    }

    fn norm(&self, device: &Device) -> Norm {
        Norm::new(self.norm, self.d_model, self.norm_epsilon, device)
    }
}

fn draw_parameters(model: &LanguageModel) {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            parameter.val();
        }

        fn visit_int<const D: usize>(&mut self, parameter: &Param<Tensor<D, Int>>) {
            parameter.val();
        }
    }
    model.visit(&mut Draw);
}
