//! A language model from its configuration.

use super::block::{Block, ChannelMixer, Norm};
use super::config::LanguageModelConfig;
use super::feed_forward::{ChannelMixerConfig, FeedForward};
use super::language_model::LanguageModel;
use crate::config::{check_channels, check_floats, check_memory, check_numbers, check_parameters};
use crate::{ConfigError, Mixer, MixerConfig, SequenceMixer};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{EmbeddingConfig, Initializer, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

pub(super) const NAME: &str = "language model";

/// More layers than this are taken for a mistake.
const MAX_LAYERS: usize = 1 << 14;

/// More experts than this in all layers are taken for a mistake.
const MAX_EXPERTS: usize = 1 << 16;

impl LanguageModelConfig {
    /// The model, every parameter drawn: parameters of Burn are otherwise drawn at their first use,
    /// which would make a seed depend on what comes between.
    ///
    /// # Errors
    ///
    /// If there are no tokens, channels or layers, a layer's channels are not the model's, a
    /// layer's configuration describes no layer, a number is out of its range, or there is no memory for the parameters.
    pub fn try_init(&self, device: &Device) -> Result<LanguageModel, ConfigError> {
        self.try_init_with(|index| self.layer(index, device), device)
    }

    /// The model before its parameters are drawn: for weights that are read.
    pub(crate) fn try_undrawn(&self, device: &Device) -> Result<LanguageModel, ConfigError> {
        self.undrawn(|index| self.layer(index, device), device)
    }

    /// How many parameters the model has, none of which is drawn for it.
    ///
    /// # Errors
    ///
    /// As [`try_init`](Self::try_init), but for the memory.
    pub fn num_params(&self, device: &Device) -> Result<usize, ConfigError> {
        check_parameters(NAME, &self.try_undrawn(device)?)
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
    /// If there are no tokens, channels or layers, `layer` returns an error, a number is out of its range, or there is
    /// no memory for the parameters.
    pub fn try_init_with<M: SequenceMixer>(
        &self,
        layer: impl FnMut(usize) -> Result<M, ConfigError>,
        device: &Device,
    ) -> Result<LanguageModel<M>, ConfigError> {
        let model = self.undrawn(layer, device)?;
        check_memory(NAME, check_parameters(NAME, &model)?, device)?;
        draw_parameters(&model);
        Ok(model)
    }

    /// The model, its parameters waiting for their first use.
    fn undrawn<M: SequenceMixer>(
        &self,
        mut layer: impl FnMut(usize) -> Result<M, ConfigError>,
        device: &Device,
    ) -> Result<LanguageModel<M>, ConfigError> {
        let count = self.check()?;
        let blocks = (0..count)
            .map(|index| layer(index).map(|mixer| self.block(index, mixer, device)))
            .collect::<Result<_, _>>()?;
        let normal = Initializer::Normal { mean: 0.0, std: self.embedding_std };
        let model = LanguageModel {
            embedding: EmbeddingConfig::new(self.vocab_size, self.d_model)
                .with_initializer(normal.clone())
                .init(device),
            blocks,
            norm: self.norm(device),
            landmark: self.landmark_every.map(|_| normal.init([self.d_model], device)),
            head: (!self.tie_embeddings).then(|| {
                LinearConfig::new(self.d_model, self.vocab_size)
                    .with_bias(false)
                    .with_initializer(normal)
                    .init(device)
            }),
            config: Box::new(self.clone()),
        };
        check_floats(NAME, self)?;
        Ok(model)
    }

    /// The sequence mixer of the layer `index`, from the pattern.
    fn layer(&self, index: usize, device: &Device) -> Result<Mixer, ConfigError> {
        let place = index.checked_rem(self.pattern.len()).ok_or_else(no_layer)?;
        let layer = &self.pattern[place];
        let (found, wanted) = (layer.d_model(), self.d_model);
        ConfigError::unless(found == wanted, NAME, || {
            let kind = layer.kind();
            format!("the layer {kind} has d_model = {found}, the model {wanted}; they must be equal")
        })?;
        if let (Some(every), MixerConfig::LandmarkAttention(layer)) = (self.landmark_every, layer) {
            ConfigError::unless(every.checked_add(1) == Some(layer.block), NAME, || {
                format!(
                    "landmark_every = {every}, but the layer landmark_attention has block = {}; a block is the tokens and \
                     their landmark, one more than these",
                    layer.block
                )
            })?;
        }
        layer.try_init(device)
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
        check_channels(NAME, "d_model", self.d_model)?;
        check_numbers(NAME, "the embedding", &[self.vocab_size, self.d_model])?;
        let count = self.num_layers.unwrap_or(self.pattern.len());
        if count == 0 && self.num_layers.is_none() {
            return Err(no_layer());
        }
        ConfigError::unless_finite(NAME, "embedding_std", self.embedding_std)?;
        ConfigError::unless_finite(NAME, "norm_epsilon", self.norm_epsilon)?;
        Self::check_positive("embedding_scale", self.embedding_scale)?;
        self.logit_cap.map_or(Ok(()), |cap| Self::check_positive("logit_cap", cap))?;
        self.initializer.check(NAME)?;
        wanted(
            self.landmark_every != Some(0),
            "landmark_every is 0; let at least 1 token stand between landmarks",
        )?;
        wanted(count > 0, "num_layers is 0; give it at least 1")?;
        ConfigError::unless(count <= MAX_LAYERS, NAME, || {
            format!("num_layers = {count}, but at most {MAX_LAYERS} layers are wanted")
        })?;
        let given = self.channel_mixer != ChannelMixerConfig::SwiGlu;
        wanted(
            self.channel_pattern.is_empty() || !given,
            "channel_mixer and channel_pattern both say what comes after the sequence mixers; give one",
        )?;
        for index in 0..self.channel_pattern.len().max(1) {
            self.channel_mixer_of(index).check(NAME, self.d_model)?;
        }
        let experts: usize = (0..count).map(|index| self.channel_mixer_of(index).experts()).sum();
        ConfigError::unless(experts <= MAX_EXPERTS, NAME, || {
            format!("its layers have {experts} experts together, but at most {MAX_EXPERTS} are wanted")
        })?;
        Ok(count)
    }

    /// Says if `value` of an option is not above 0.
    fn check_positive(name: &str, value: f64) -> Result<(), ConfigError> {
        ConfigError::unless(value.is_finite() && value > 0.0, NAME, || {
            format!("{name} = {value}, but a finite number above 0 is wanted")
        })
    }

    fn block<M>(&self, index: usize, mixer: M, device: &Device) -> Block<M> {
        let channels = self.channel_mixer_of(index);
        let feed_forward = FeedForward::new(channels, self.d_model, self.initializer, device);
        Block {
            mixer_norm: self.norm(device),
            mixer,
            channels: feed_forward.map(|feed_forward| ChannelMixer { norm: self.norm(device), feed_forward }),
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
