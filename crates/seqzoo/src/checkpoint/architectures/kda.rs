//! `kda` of flash-linear-attention: Kimi delta attention.

use super::backbone::object;
use super::fla::{self, LIBRARY};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Name, linear, same, taps};
use crate::layers::KimiDeltaAttentionConfig;
use crate::models::LanguageModelConfig;
use serde_json::json;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "kda",
    class: "KDAForCausalLM",
    library: LIBRARY,
    describes: |_| true,
    read,
    write,
    names: |config| fla::names(config, MIXER),
};

const DEFAULTS: fla::Defaults = fla::Defaults { num_hidden_layers: 24, hidden_ratio: 4 };

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    let lower_bound = match fields.flag("safe_gate", false)? {
        true => Some(
            fields
                .number_or_null("lower_bound")?
                .ok_or("`safe_gate` is true, but `lower_bound` is missing")?,
        ),
        false => None,
    };
    let layer = KimiDeltaAttentionConfig::new(fla::hidden_size(fields)?)
        .with_num_heads(fields.whole("num_heads", 16)?)
        .with_num_v_heads(fields.whole_or_null("num_v_heads")?)
        .with_head_dim(fields.whole("head_dim", 128)?)
        .with_expand_v(fields.number("expand_v", 1.0)?)
        .with_conv_size(fla::conv_size(fields, true)?)
        .with_allow_neg_eigval(fields.flag("allow_neg_eigval", false)?)
        .with_lower_bound(lower_bound)
        .with_norm_epsilon(fla::epsilon(fields)?)
        .with_initializer(fla::initializer(fields)?);
    DEFAULTS.model(fields, layer.into())
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = fla::first(FORMAT.model_type, layers, |layer| match layer {
        MixerConfig::KimiDeltaAttention(layer) => Some(layer),
        _ => None,
    })?;
    let mut fields = fla::fields(config, layers);
    fields.extend(object(json!({
        "num_heads": layer.num_heads,
        "num_v_heads": layer.num_v_heads,
        "head_dim": layer.head_dim,
        "expand_v": layer.expand_v,
        "use_short_conv": layer.conv_size.is_some(),
        "conv_size": layer.conv_size.unwrap_or(4),
        "allow_neg_eigval": layer.allow_neg_eigval,
        "safe_gate": layer.lower_bound.is_some(),
        "lower_bound": layer.lower_bound,
    })));
    Ok(fields)
}

const MIXER: [Name; 16] = [
    linear("blocks.*.mixer.KimiDeltaAttention.heads.query.weight", "model.layers.*.attn.q_proj.weight"),
    linear("blocks.*.mixer.KimiDeltaAttention.heads.key.weight", "model.layers.*.attn.k_proj.weight"),
    linear("blocks.*.mixer.KimiDeltaAttention.heads.value.weight", "model.layers.*.attn.v_proj.weight"),
    linear("blocks.*.mixer.KimiDeltaAttention.heads.beta.weight", "model.layers.*.attn.b_proj.weight"),
    linear("blocks.*.mixer.KimiDeltaAttention.heads.output.weight", "model.layers.*.attn.o_proj.weight"),
    same("blocks.*.mixer.KimiDeltaAttention.heads.norm.norm.gamma", "model.layers.*.attn.o_norm.weight"),
    taps(
        "blocks.*.mixer.KimiDeltaAttention.heads.convolutions.convs.0.weight",
        "model.layers.*.attn.q_conv1d.weight",
    ),
    taps(
        "blocks.*.mixer.KimiDeltaAttention.heads.convolutions.convs.1.weight",
        "model.layers.*.attn.k_conv1d.weight",
    ),
    taps(
        "blocks.*.mixer.KimiDeltaAttention.heads.convolutions.convs.2.weight",
        "model.layers.*.attn.v_conv1d.weight",
    ),
    linear("blocks.*.mixer.KimiDeltaAttention.decay_down.weight", "model.layers.*.attn.f_proj.0.weight"),
    linear("blocks.*.mixer.KimiDeltaAttention.decay_up.weight", "model.layers.*.attn.f_proj.1.weight"),
    same("blocks.*.mixer.KimiDeltaAttention.decay_gate.a_log", "model.layers.*.attn.A_log"),
    same("blocks.*.mixer.KimiDeltaAttention.decay_gate.dt_bias", "model.layers.*.attn.dt_bias"),
    linear("blocks.*.mixer.KimiDeltaAttention.gate_down.weight", "model.layers.*.attn.g_proj.0.weight"),
    linear("blocks.*.mixer.KimiDeltaAttention.gate_up.weight", "model.layers.*.attn.g_proj.1.weight"),
    same("blocks.*.mixer.KimiDeltaAttention.gate_up.bias", "model.layers.*.attn.g_proj.1.bias"),
];
