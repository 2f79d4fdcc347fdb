//! `delta_net` of flash-linear-attention.

use super::backbone::object;
use super::fla::{self, LIBRARY};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Name, linear, same, taps};
use crate::layers::DeltaNetConfig;
use crate::models::LanguageModelConfig;
use serde_json::json;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "delta_net",
    class: "DeltaNetForCausalLM",
    library: LIBRARY,
    describes: |_| true,
    read,
    write,
    names: |config| fla::names(config, MIXER),
};

const DEFAULTS: fla::Defaults = fla::Defaults { num_hidden_layers: 24, hidden_ratio: 4 };

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    fields.only("qk_activation", "silu")?;
    fields.only("qk_norm", "l2")?;
    let layer = DeltaNetConfig::new(fla::hidden_size(fields)?)
        .with_num_heads(fields.whole("num_heads", 16)?)
        .with_expand_k(fields.number("expand_k", 1.0)?)
        .with_expand_v(fields.number("expand_v", 1.0)?)
        .with_conv_size(fla::conv_size(fields, true)?)
        .with_use_beta(fields.flag("use_beta", true)?)
        .with_allow_neg_eigval(fields.flag("allow_neg_eigval", false)?)
        .with_output_gate(fields.flag("use_gate", false)?)
        .with_norm_epsilon(fla::epsilon(fields)?)
        .with_initializer(fla::initializer(fields)?);
    DEFAULTS.model(fields, layer.into())
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = fla::first(FORMAT.model_type, layers, |layer| match layer {
        MixerConfig::DeltaNet(layer) => Some(layer),
        _ => None,
    })?;
    let mut fields = fla::fields(config, layers);
    fields.extend(object(json!({
        "num_heads": layer.num_heads,
        "expand_k": layer.expand_k,
        "expand_v": layer.expand_v,
        "use_short_conv": layer.conv_size.is_some(),
        "conv_size": layer.conv_size.unwrap_or(4),
        "use_beta": layer.use_beta,
        "allow_neg_eigval": layer.allow_neg_eigval,
        "use_gate": layer.output_gate,
        "use_output_norm": true,
        "qk_norm": "l2",
        "qk_activation": "silu",
    })));
    Ok(fields)
}

const MIXER: [Name; 10] = [
    linear("blocks.*.mixer.DeltaNet.heads.query.weight", "model.layers.*.attn.q_proj.weight"),
    linear("blocks.*.mixer.DeltaNet.heads.key.weight", "model.layers.*.attn.k_proj.weight"),
    linear("blocks.*.mixer.DeltaNet.heads.value.weight", "model.layers.*.attn.v_proj.weight"),
    linear("blocks.*.mixer.DeltaNet.heads.beta.weight", "model.layers.*.attn.b_proj.weight"),
    linear("blocks.*.mixer.DeltaNet.heads.output.weight", "model.layers.*.attn.o_proj.weight"),
    same("blocks.*.mixer.DeltaNet.heads.norm.norm.gamma", "model.layers.*.attn.o_norm.weight"),
    taps("blocks.*.mixer.DeltaNet.heads.convolutions.convs.0.weight", "model.layers.*.attn.q_conv1d.weight"),
    taps("blocks.*.mixer.DeltaNet.heads.convolutions.convs.1.weight", "model.layers.*.attn.k_conv1d.weight"),
    taps("blocks.*.mixer.DeltaNet.heads.convolutions.convs.2.weight", "model.layers.*.attn.v_conv1d.weight"),
    linear("blocks.*.mixer.DeltaNet.gate.weight", "model.layers.*.attn.g_proj.weight"),
];
