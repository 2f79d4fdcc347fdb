//! What the models of the Mamba family have in common: blocks of a norm and a mixer, and nothing else.

use crate::MixerConfig;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Copy, Name, Names, linear, same};
use crate::models::{ChannelMixerConfig, LanguageModelConfig};
use serde_json::{Value, json};

/// What a `config.json` means where it says nothing.
pub(super) struct Defaults {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub initializer_range: f64,
    pub tied: bool,
    pub residual_in_fp32: bool,
    /// The field of the norms' epsilon.
    pub epsilon: &'static str,
}

impl Defaults {
    pub fn hidden_size(&self, fields: &Fields) -> Result<usize, Problem> {
        fields.whole("hidden_size", self.hidden_size)
    }

    pub fn epsilon(&self, fields: &Fields) -> Result<f64, Problem> {
        fields.number(self.epsilon, 1e-5)
    }

    /// The model of these fields with `layer` in every block.
    pub fn model(&self, fields: &Fields, layer: MixerConfig) -> Result<LanguageModelConfig, Problem> {
        fields.only_silu("hidden_act")?;
        let vocab_size = fields.whole("vocab_size", self.vocab_size)?;
        Ok(LanguageModelConfig::new(vocab_size, layer.d_model(), vec![layer])
            .with_num_layers(Some(fields.layers(self.num_hidden_layers)?))
            .with_channel_mixer(ChannelMixerConfig::None)
            .with_tie_embeddings(fields.flag("tie_word_embeddings", self.tied)?)
            .with_norm_epsilon(self.epsilon(fields)?)
            .with_residual_in_fp32(fields.flag("residual_in_fp32", self.residual_in_fp32)?)
            .with_embedding_std(fields.number("initializer_range", self.initializer_range)?))
    }

    /// The fields of that model.
    pub fn fields(&self, config: &LanguageModelConfig, layers: usize) -> Written {
        let fields = json!({
            "vocab_size": config.vocab_size,
            "hidden_size": config.d_model,
            "num_hidden_layers": layers,
            self.epsilon: config.norm_epsilon,
            "hidden_act": "silu",
            "initializer_range": config.embedding_std,
            "residual_in_fp32": config.residual_in_fp32,
            "tie_word_embeddings": config.tie_embeddings,
            "use_cache": true,
        });
        object(fields)
    }
}

/// The inner channels of a layer: `expand` times the others, as a whole number of times if it is one.
pub(super) fn expansion(fields: &Fields) -> Result<f64, Problem> {
    let expand = fields.number("expand", 2.0)?;
    match expand.is_finite() && expand > 0.0 {
        true => Ok(expand),
        false => Err(format!("`expand` is {expand}, but a positive number is wanted")),
    }
}

pub(super) fn object(value: Value) -> Written {
    match value {
        Value::Object(fields) => fields,
        _ => Written::new(),
    }
}

/// The names of everything but the mixers, and `mixer`.
pub(super) fn names(config: &LanguageModelConfig, mixer: impl IntoIterator<Item = Name>) -> Names {
    let mut names = vec![
        // mamba_ssm has one letter less, which transformers reads as well.
        same("embedding.weight", "backbone.embeddings.weight").or("backbone.embedding.weight"),
        same("blocks.*.mixer_norm.Rms.gamma", "backbone.layers.*.norm.weight"),
        same("norm.Rms.gamma", "backbone.norm_f.weight"),
        linear("head.weight", "lm_head.weight"),
    ];
    names.extend(mixer);
    let head = Copy { name: "lm_head.weight", of: "backbone.embeddings.weight" };
    Names { names, copies: if config.tie_embeddings { vec![head] } else { Vec::new() }, ignored: &[] }
}
