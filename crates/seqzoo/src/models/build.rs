//! A language model from its configuration.

use super::block::{Block, ChannelMixer, ChannelMixerConfig, Norm};
use super::config::LanguageModelConfig;
use super::language_model::LanguageModel;
use crate::parts::SwiGlu;
use crate::{ConfigError, SequenceMixer};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{EmbeddingConfig, Initializer, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

const NAME: &str = "language model";

impl LanguageModelConfig {
    /// The model, every parameter drawn: parameters of Burn are otherwise drawn at their first use,
    /// which would make a seed depend on what comes between.
    ///
    /// # Errors
    ///
    /// If there are no tokens, channels or layers, a layer's channels are not the model's, or a
    /// layer's configuration describes no layer.
    pub fn try_init(&self, device: &Device) -> Result<LanguageModel, ConfigError> {
        self.try_undrawn(device).inspect(draw_parameters)
    }

    /// The model before its parameters are drawn: for weights that are read.
    pub(super) fn try_undrawn(&self, device: &Device) -> Result<LanguageModel, ConfigError> {
        self.try_undrawn_with(
            |index| {
                let layer = self.pattern.iter().cycle().nth(index).ok_or_else(no_layer)?;
                let (found, wanted) = (layer.d_model(), self.d_model);
                ConfigError::unless(found == wanted, NAME, || {
                    let kind = layer.kind();
                    format!("the layer {kind} has d_model = {found}, the model {wanted}; they must be equal")
                })?;
                layer.try_init(device)
            },
            device,
        )
    }

    /// The model.
    ///
    /// # Panics
    ///
    /// Where [`try_init`](Self::try_init) returns an error, with its text.
    pub fn init(&self, device: &Device) -> LanguageModel {
        self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The model with sequence mixers of your own: `layer(index)` makes that of each layer, `num_layers` of them.
    /// The pattern says no more than how many layers there are where `num_layers` does not.
    ///
    /// # Errors
    ///
    /// If there are no tokens, channels or layers, or `layer` returns an error.
    pub fn try_init_with<M: SequenceMixer>(
        &self,
        layer: impl FnMut(usize) -> Result<M, ConfigError>,
        device: &Device,
    ) -> Result<LanguageModel<M>, ConfigError> {
        self.try_undrawn_with(layer, device).inspect(draw_parameters)
    }

    fn try_undrawn_with<M: SequenceMixer>(
        &self,
        mut layer: impl FnMut(usize) -> Result<M, ConfigError>,
        device: &Device,
    ) -> Result<LanguageModel<M>, ConfigError> {
        let count = self.check()?;
        let blocks = (0..count)
            .map(|index| layer(index).map(|mixer| self.block(mixer, device)))
            .collect::<Result<_, _>>()?;
        let normal = Initializer::Normal { mean: 0.0, std: self.embedding_std };
        Ok(LanguageModel {
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
        })
    }

    /// The model with sequence mixers of your own, as in [`try_init_with`](Self::try_init_with).
    ///
    /// # Panics
    ///
    /// If there are no tokens, channels or layers.
    pub fn init_with<M: SequenceMixer>(
        &self,
        mut layer: impl FnMut(usize) -> M,
        device: &Device,
    ) -> LanguageModel<M> {
        self.try_init_with(|index| Ok(layer(index)), device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The number of layers, if everything but the layers is in order.
    fn check(&self) -> Result<usize, ConfigError> {
        let wanted = |holds, problem: &str| ConfigError::unless(holds, NAME, || problem.into());
        wanted(self.vocab_size > 0, "vocab_size is 0; give it at least 1 token")?;
        wanted(self.d_model > 0, "d_model is 0; give it at least 1 channel")?;
        let count = self.num_layers.unwrap_or(self.pattern.len());
        if count == 0 && self.num_layers.is_none() {
            return Err(no_layer());
        }
        ConfigError::unless_finite(NAME, "embedding_std", self.embedding_std)?;
        ConfigError::unless_finite(NAME, "norm_epsilon", self.norm_epsilon)?;
        self.initializer.check(NAME)?;
        wanted(count > 0, "num_layers is 0; give it at least 1")?;
        let empty = self.channel_mixer == ChannelMixerConfig::SwiGluOf { hidden: 0 };
        wanted(!empty, "the feed-forward's hidden width is 0")?;
        Ok(count)
    }

    fn block<M>(&self, mixer: M, device: &Device) -> Block<M> {
        let hidden = match self.channel_mixer {
            ChannelMixerConfig::None => None,
            ChannelMixerConfig::SwiGlu => Some(SwiGlu::usual_hidden(self.d_model)),
            ChannelMixerConfig::SwiGluOf { hidden } => Some(hidden),
        };
        Block {
            mixer_norm: self.norm(device),
            mixer,
            channels: hidden.map(|hidden| ChannelMixer {
                norm: self.norm(device),
                swiglu: SwiGlu::new(self.d_model, hidden, self.initializer, device),
            }),
        }
    }

    fn norm(&self, device: &Device) -> Norm {
        Norm::new(self.norm, self.d_model, self.norm_epsilon, device)
    }
}

fn no_layer() -> ConfigError {
    ConfigError::new(NAME, "the pattern names no layer; name at least one")
}

fn draw_parameters<M: Module>(model: &M) {
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
