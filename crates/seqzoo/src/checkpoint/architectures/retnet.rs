//! `retnet` of flash-linear-attention: multi-scale retention.

use super::backbone::object;
use super::fla::{self, LIBRARY};
use super::gla::norm;
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Name, Names, linear, taps};
use crate::layers::MultiScaleRetentionConfig;
use crate::models::LanguageModelConfig;
use serde_json::{Value, json};

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "retnet",
    class: "RetNetForCausalLM",
    library: LIBRARY,
    describes: |_| true,
    read,
    write,
    names,
};

const DEFAULTS: fla::Defaults = fla::Defaults { num_hidden_layers: 24, hidden_ratio: 2 };

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    fields.only("feature_map", Value::Null)?;
    fields.only("use_output_gate", true)?;
    let layer = MultiScaleRetentionConfig::new(fla::hidden_size(fields)?)
        .with_num_heads(fields.whole("num_heads", 8)?)
        .with_num_kv_heads(fields.whole_or_null("num_kv_heads")?)
        .with_expand_k(fields.number("expand_k", 1.0)?)
        .with_expand_v(fields.number("expand_v", 2.0)?)
        .with_conv_size(fla::conv_size(fields, false)?)
        .with_norm_epsilon(fla::epsilon(fields)?)
        .with_initializer(fla::initializer(fields)?);
    DEFAULTS.model(fields, layer.into())
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = fla::first(FORMAT.model_type, layers, |layer| match layer {
        MixerConfig::MultiScaleRetention(layer) => Some(layer),
        _ => None,
    })?;
    let mut fields = fla::fields(config, layers);
    fields.extend(object(json!({
        "num_heads": layer.num_heads,
        "num_kv_heads": layer.num_kv_heads,
        "expand_k": layer.expand_k,
        "expand_v": layer.expand_v,
        "feature_map": null,
        "use_short_conv": layer.conv_size.is_some(),
        "conv_size": layer.conv_size.unwrap_or(4),
        "use_output_gate": true,
    })));
    Ok(fields)
}

fn names(config: &LanguageModelConfig) -> Names {
    fla::names(config, MIXER.into_iter().chain([norm(NORM, true)]))
}

const NORM: &str = "blocks.*.mixer.MultiScaleRetention.norm.norm.gamma";

const MIXER: [Name; 8] = [
    linear("blocks.*.mixer.MultiScaleRetention.query.weight", "model.layers.*.attn.q_proj.weight"),
    linear("blocks.*.mixer.MultiScaleRetention.key.weight", "model.layers.*.attn.k_proj.weight"),
    linear("blocks.*.mixer.MultiScaleRetention.value.weight", "model.layers.*.attn.v_proj.weight"),
    linear("blocks.*.mixer.MultiScaleRetention.gate.weight", "model.layers.*.attn.g_proj.weight"),
    linear("blocks.*.mixer.MultiScaleRetention.output.weight", "model.layers.*.attn.o_proj.weight"),
    taps(
        "blocks.*.mixer.MultiScaleRetention.convolutions.convs.0.weight",
        "model.layers.*.attn.q_conv1d.weight",
    ),
    taps(
        "blocks.*.mixer.MultiScaleRetention.convolutions.convs.1.weight",
        "model.layers.*.attn.k_conv1d.weight",
    ),
    taps(
        "blocks.*.mixer.MultiScaleRetention.convolutions.convs.2.weight",
        "model.layers.*.attn.v_conv1d.weight",
    ),
];
