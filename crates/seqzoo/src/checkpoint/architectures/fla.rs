//! What the models of flash-linear-attention have in common: blocks of a mixer and a gated feed-forward, and softmax
//! attention in place of the mixer in some of them.

use super::backbone::object;
use crate::MixerConfig;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Copy, Name, Names, linear, same};
use crate::layers::SoftmaxAttentionConfig;
use crate::models::{ChannelMixerConfig, LanguageModelConfig};
use crate::parts::ProjectionInit;
use serde_json::{Value, json};

/// The library.
pub(super) const LIBRARY: &str = "flash-linear-attention";

/// What a `config.json` means where it says nothing.
pub(super) struct Defaults {
    pub num_hidden_layers: usize,
    /// The width of the feed-forwards, as a multiple of the channels before its third is taken away.
    pub hidden_ratio: usize,
}

/// The channels of the model.
pub(super) fn hidden_size(fields: &Fields) -> Result<usize, Problem> {
    fields.whole("hidden_size", 2048)
}

/// The epsilon of all norms.
pub(super) fn epsilon(fields: &Fields) -> Result<f64, Problem> {
    fields.number("norm_eps", 1e-6)
}

/// How the projections are initialised.
pub(super) fn initializer(fields: &Fields) -> Result<ProjectionInit, Problem> {
    Ok(ProjectionInit::Normal { std: fields.number("initializer_range", 0.02)? })
}

/// The taps of the short convolutions, if there are any.
pub(super) fn conv_size(fields: &Fields, default: bool) -> Result<Option<usize>, Problem> {
    let size = fields.whole("conv_size", 4)?;
    Ok(fields.flag("use_short_conv", default)?.then_some(size))
}

impl Defaults {
    /// The model of these fields, whose layers are `layer` where they are not softmax attention.
    pub fn model(&self, fields: &Fields, layer: MixerConfig) -> Result<LanguageModelConfig, Problem> {
        fields.only_silu("hidden_act")?;
        fields.only("elementwise_affine", true)?;
        fields.only("attnres_block_size", Value::Null)?;
        let d_model = layer.d_model();
        let layers = fields.layers(self.num_hidden_layers)?;
        let specs = fields.objects("attn")?;
        let (pattern, count) = match specs.is_empty() {
            true => (vec![layer], Some(layers)),
            false => (hybrid(&specs, layer, layers, initializer(fields)?)?, None),
        };
        Ok(LanguageModelConfig::new(fields.whole("vocab_size", 32_000)?, d_model, pattern)
            .with_num_layers(count)
            .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: self.hidden(fields, d_model)? })
            .with_tie_embeddings(fields.flag("tie_word_embeddings", false)?)
            .with_norm_epsilon(epsilon(fields)?)
            .with_embedding_std(fields.number("initializer_range", 0.02)?)
            .with_initializer(initializer(fields)?))
    }

    /// The width of the feed-forwards: given, or two thirds of a multiple of the channels, rounded up to a multiple of 256.
    fn hidden(&self, fields: &Fields, d_model: usize) -> Result<usize, Problem> {
        if let Some(given) = fields.whole_or_null("intermediate_size")? {
            return Ok(given);
        }
        let ratio = match fields.given("hidden_ratio") {
            Some(_) => fields.number("hidden_ratio", 4.0)?,
            // Null is 4 whatever the default is.
            None if fields.has("hidden_ratio") => 4.0,
            None => self.hidden_ratio as f64,
        };
        let two_thirds = (d_model as f64 * ratio * 2.0 / 3.0) as usize;
        Ok(two_thirds.checked_next_multiple_of(256).unwrap_or(usize::MAX))
    }
}

/// The layers of a model where `specs` say which are softmax attention.
fn hybrid(
    specs: &[Fields],
    layer: MixerConfig,
    count: usize,
    initializer: ProjectionInit,
) -> Result<Vec<MixerConfig>, Problem> {
    let d_model = layer.d_model();
    let mut pattern = vec![layer; count];
    for spec in specs {
        let attention = attention(spec, d_model).map_err(|problem| format!("in `attn`, {problem}"))?;
        for index in spec.wholes("layers").map_err(|problem| format!("in `attn`, {problem}"))? {
            let place = pattern.get_mut(index).ok_or_else(|| {
                format!("in `attn`, `layers` names the layer {index}, but there are {count} layers")
            })?;
            *place = attention.clone().with_initializer(initializer).into();
        }
    }
    Ok(pattern)
}

fn attention(spec: &Fields, d_model: usize) -> Result<SoftmaxAttentionConfig, Problem> {
    if spec.given("num_heads").is_none() {
        return Err("`num_heads` is missing".into());
    }
    spec.only("qk_norm", false)?;
    Ok(SoftmaxAttentionConfig::new(d_model)
        .with_num_heads(spec.whole("num_heads", 0)?)
        .with_num_kv_heads(spec.whole_or_null("num_kv_heads")?)
        .with_window(spec.whole_or_null("window_size")?)
        .with_rotary_base(spec.number("rope_theta", 10_000.0)?)
        .with_qkv_bias(spec.flag("qkv_bias", false)?))
}

/// The fields of a model of `layers`, but for those of its mixers.
pub(super) fn fields(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Written {
    let hidden = match config.channel_mixer {
        ChannelMixerConfig::SwiGluOf { hidden } => Value::from(hidden),
        // Not what null means to the library, so that it is refused when it is read again.
        _ => Value::Null,
    };
    object(json!({
        "attn": specs(layers),
        "attn_mode": "chunk",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": layers.len(),
        "hidden_ratio": 4,
        "intermediate_size": hidden,
        "hidden_act": "swish",
        "norm_eps": config.norm_epsilon,
        "elementwise_affine": true,
        "initializer_range": config.embedding_std,
        "tie_word_embeddings": config.tie_embeddings,
        "fuse_norm": true,
        "use_cache": true,
    }))
}

/// The softmax attention among `layers`, one object for those that are alike; null where there is none.
fn specs(layers: &[MixerConfig]) -> Value {
    let mut specs: Vec<(Value, Vec<usize>)> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let MixerConfig::SoftmaxAttention(attention) = layer else { continue };
        let spec = json!({
            "num_heads": attention.num_heads,
            "num_kv_heads": attention.num_kv_heads,
            "window_size": attention.window,
            "rope_theta": attention.rotary_base,
            "qkv_bias": attention.qkv_bias,
        });
        match specs.iter_mut().find(|(known, _)| *known == spec) {
            Some((_, indices)) => indices.push(index),
            None => specs.push((spec, vec![index])),
        }
    }
    let mut objects: Vec<Value> = specs
        .into_iter()
        .map(|(mut spec, indices)| {
            // Older versions know no null here.
            if spec["num_kv_heads"].is_null() {
                spec["num_kv_heads"] = spec["num_heads"].clone();
            }
            spec["layers"] = indices.into();
            spec
        })
        .collect();
    match objects.len() {
        0 => Value::Null,
        1 => objects.remove(0),
        _ => objects.into(),
    }
}

/// The first layer that `mixer` picks out, which is not softmax attention.
pub(super) fn first<'a, C>(
    kind: &str,
    layers: &'a [MixerConfig],
    mixer: impl Fn(&'a MixerConfig) -> Option<&'a C>,
) -> Result<&'a C, Problem> {
    let found = layers.iter().find_map(mixer);
    found.ok_or_else(|| format!("none of its layers is of the kind `{kind}`"))
}

/// The names of everything but the mixers, and `mixer`.
pub(super) fn names(config: &LanguageModelConfig, mixer: impl IntoIterator<Item = Name>) -> Names {
    let mut names: Vec<Name> = COMMON.into_iter().chain(ATTENTION).collect();
    names.extend(mixer);
    let head = Copy { name: "lm_head.weight", of: "model.embeddings.weight" };
    Names { names, copies: if config.tie_embeddings { vec![head] } else { Vec::new() }, ignored: &[] }
}

const COMMON: [Name; 8] = [
    same("embedding.weight", "model.embeddings.weight"),
    same("blocks.*.mixer_norm.Rms.gamma", "model.layers.*.attn_norm.weight"),
    same("blocks.*.channels.norm.Rms.gamma", "model.layers.*.mlp_norm.weight"),
    linear("blocks.*.channels.feed_forward.SwiGlu.gate.weight", "model.layers.*.mlp.gate_proj.weight"),
    linear("blocks.*.channels.feed_forward.SwiGlu.up.weight", "model.layers.*.mlp.up_proj.weight"),
    linear("blocks.*.channels.feed_forward.SwiGlu.down.weight", "model.layers.*.mlp.down_proj.weight"),
    same("norm.Rms.gamma", "model.norm.weight"),
    linear("head.weight", "lm_head.weight"),
];

const ATTENTION: [Name; 7] = [
    linear("blocks.*.mixer.SoftmaxAttention.query.weight", "model.layers.*.attn.q_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.query.bias", "model.layers.*.attn.q_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.key.weight", "model.layers.*.attn.k_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.key.bias", "model.layers.*.attn.k_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.value.weight", "model.layers.*.attn.v_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.value.bias", "model.layers.*.attn.v_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.output.weight", "model.layers.*.attn.o_proj.weight"),
];
