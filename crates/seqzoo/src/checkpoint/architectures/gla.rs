//! `gla` of flash-linear-attention: gated linear attention.

use super::backbone::object;
use super::fla::{self, LIBRARY};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Name, Names, linear, same, taps};
use crate::layers::GatedLinearAttentionConfig;
use crate::models::LanguageModelConfig;
use serde_json::{Value, json};

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "gla",
    class: "GLAForCausalLM",
    library: LIBRARY,
    describes: |_| true,
    read,
    write,
    names,
};

const DEFAULTS: fla::Defaults = fla::Defaults { num_hidden_layers: 24, hidden_ratio: 4 };

/// The rank of the decays' projection and the divisor of the decays are those of the layer, whatever a field says: the
/// library does not hand them on.
fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    fields.only("feature_map", Value::Null)?;
    let layer = GatedLinearAttentionConfig::new(fla::hidden_size(fields)?)
        .with_num_heads(fields.whole("num_heads", 4)?)
        .with_num_kv_heads(fields.whole_or_null("num_kv_heads")?)
        .with_expand_k(fields.number("expand_k", 0.5)?)
        .with_expand_v(fields.number("expand_v", 1.0)?)
        .with_conv_size(fla::conv_size(fields, false)?)
        .with_output_gate(fields.flag("use_output_gate", true)?)
        .with_clamp_min(fields.number_or_null("clamp_min")?)
        .with_norm_epsilon(fla::epsilon(fields)?)
        .with_initializer(fla::initializer(fields)?);
    DEFAULTS.model(fields, layer.into())
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = fla::first(FORMAT.model_type, layers, mixer)?;
    let mut fields = fla::fields(config, layers);
    fields.extend(object(json!({
        "num_heads": layer.num_heads,
        "num_kv_heads": layer.num_kv_heads,
        "expand_k": layer.expand_k,
        "expand_v": layer.expand_v,
        "feature_map": null,
        "use_short_conv": layer.conv_size.is_some(),
        "conv_size": layer.conv_size.unwrap_or(4),
        "use_output_gate": layer.output_gate,
        "clamp_min": layer.clamp_min,
        "use_gk": true,
        "use_gv": false,
    })));
    Ok(fields)
}

fn mixer(layer: &MixerConfig) -> Option<&GatedLinearAttentionConfig> {
    match layer {
        MixerConfig::GatedLinearAttention(layer) => Some(layer),
        _ => None,
    }
}

fn names(config: &LanguageModelConfig) -> Names {
    let gated = config.pattern.iter().find_map(mixer).is_none_or(|layer| layer.output_gate);
    fla::names(config, MIXER.into_iter().chain([norm(NORM, gated)]))
}

const NORM: &str = "blocks.*.mixer.GatedLinearAttention.norm.norm.gamma";

/// The norm of each head's output. Its name says whether the library computes it together with the gate.
pub(super) fn norm(ours: &'static str, gated: bool) -> Name {
    let (together, alone) =
        ("model.layers.*.attn.g_norm_swish_gate.weight", "model.layers.*.attn.g_norm.weight");
    match gated {
        true => same(ours, together).or(alone),
        false => same(ours, alone),
    }
}

const MIXER: [Name; 11] = [
    linear("blocks.*.mixer.GatedLinearAttention.query.weight", "model.layers.*.attn.q_proj.weight"),
    linear("blocks.*.mixer.GatedLinearAttention.key.weight", "model.layers.*.attn.k_proj.weight"),
    linear("blocks.*.mixer.GatedLinearAttention.value.weight", "model.layers.*.attn.v_proj.weight"),
    linear("blocks.*.mixer.GatedLinearAttention.decay_down.weight", "model.layers.*.attn.gk_proj.0.weight"),
    linear("blocks.*.mixer.GatedLinearAttention.decay_up.weight", "model.layers.*.attn.gk_proj.1.weight"),
    same("blocks.*.mixer.GatedLinearAttention.decay_up.bias", "model.layers.*.attn.gk_proj.1.bias"),
    linear("blocks.*.mixer.GatedLinearAttention.gate.weight", "model.layers.*.attn.g_proj.weight"),
    linear("blocks.*.mixer.GatedLinearAttention.output.weight", "model.layers.*.attn.o_proj.weight"),
    taps(
        "blocks.*.mixer.GatedLinearAttention.convolutions.convs.0.weight",
        "model.layers.*.attn.q_conv1d.weight",
    ),
    taps(
        "blocks.*.mixer.GatedLinearAttention.convolutions.convs.1.weight",
        "model.layers.*.attn.k_conv1d.weight",
    ),
    taps(
        "blocks.*.mixer.GatedLinearAttention.convolutions.convs.2.weight",
        "model.layers.*.attn.v_conv1d.weight",
    ),
];
