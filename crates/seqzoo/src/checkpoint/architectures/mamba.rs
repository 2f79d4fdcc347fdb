//! `mamba` of transformers.

use super::backbone::{self, Defaults, expansion};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Name, Names, linear, same, taps};
use crate::layers::MambaConfig;
use crate::models::LanguageModelConfig;
use serde_json::{Value, json};

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "mamba",
    class: "MambaForCausalLM",
    library: "transformers",
    describes: |fields| !fields.has("norm_eps"),
    read,
    write: |config, layers| {
        let mut fields = DEFAULTS.fields(config, layers.len());
        fields.extend(layer_fields(layers)?);
        Ok(fields)
    },
    names: |config| names(config),
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 50_280,
    hidden_size: 768,
    num_hidden_layers: 32,
    initializer_range: 0.1,
    residual_in_fp32: true,
    tied: true,
    epsilon: "layer_norm_epsilon",
};

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    let d_model = DEFAULTS.hidden_size(fields)?;
    let layer = layer(fields, d_model)?;
    // transformers computes it from the others.
    if let Some(given) = fields.whole_or_null("intermediate_size")?
        && given != inner(&layer)
    {
        let wanted = inner(&layer);
        return Err(format!(
            "`intermediate_size` is {given}, but {wanted} is wanted, `expand` times `hidden_size`"
        ));
    }
    DEFAULTS.model(fields, layer.into())
}

/// The inner channels of the layer.
pub(in crate::checkpoint) fn inner(layer: &MambaConfig) -> usize {
    layer.d_inner.unwrap_or(layer.d_model.saturating_mul(layer.expand))
}

/// The layer with this many inner channels: `expand` times the others if it can be said in that way.
pub(in crate::checkpoint) fn with_inner(layer: MambaConfig, inner: usize) -> MambaConfig {
    match inner.checked_div(layer.d_model) {
        Some(expand) if expand * layer.d_model == inner => layer.with_expand(expand).with_d_inner(None),
        _ => layer.with_expand(2).with_d_inner(Some(inner)),
    }
}

/// The rank of the projection that makes the layer's steps.
pub(in crate::checkpoint) fn rank(layer: &MambaConfig) -> usize {
    layer.dt_rank.unwrap_or(layer.d_model.div_ceil(16))
}

/// The layer of a model of `d_model` channels, as all models of Mamba's family describe it.
pub(super) fn layer(fields: &Fields, d_model: usize) -> Result<MambaConfig, Problem> {
    let inner = (expansion(fields)? * d_model as f64) as usize;
    let rank = match fields.given("time_step_rank") {
        Some(Value::String(text)) if text == "auto" => None,
        _ => fields.whole_or_null("time_step_rank")?,
    };
    Ok(with_inner(MambaConfig::new(d_model), inner)
        .with_d_state(fields.whole("state_size", 16)?)
        .with_d_conv(fields.whole("conv_kernel", 4)?)
        .with_dt_rank(Some(rank.unwrap_or(d_model.div_ceil(16))))
        .with_dt_min(fields.number("time_step_min", 1e-3)?)
        .with_dt_max(fields.number("time_step_max", 1e-1)?)
        .with_dt_floor(fields.number("time_step_floor", 1e-4)?)
        .with_dt_scale(fields.number("time_step_scale", 1.0)?)
        .with_conv_bias(fields.flag("use_conv_bias", true)?)
        .with_bias(fields.flag("use_bias", false)?))
}

/// The fields of the layers, which are all of this kind.
pub(super) fn layer_fields(layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = first(layers)?;
    let inner = inner(layer);
    let expand = match layer.d_inner {
        None => Value::from(layer.expand),
        // The number that makes this many channels, also when it is rounded towards 0.
        Some(inner) => Value::from((inner as f64 + 0.25) / layer.d_model as f64),
    };
    Ok(backbone::object(json!({
        "state_size": layer.d_state,
        "expand": expand,
        "intermediate_size": inner,
        "conv_kernel": layer.d_conv,
        "time_step_rank": rank(layer),
        "time_step_scale": layer.dt_scale,
        "time_step_min": layer.dt_min,
        "time_step_max": layer.dt_max,
        "time_step_floor": layer.dt_floor,
        "use_conv_bias": layer.conv_bias,
        "use_bias": layer.bias,
    })))
}

/// The first layer, if it is of this kind.
pub(super) fn first(layers: &[MixerConfig]) -> Result<&MambaConfig, Problem> {
    match layers.first() {
        Some(MixerConfig::Mamba(layer)) => Ok(layer),
        _ => Err("its layers are not of the kind `mamba`".into()),
    }
}

pub(super) fn names(config: &LanguageModelConfig) -> Names {
    backbone::names(config, MIXER)
}

const MIXER: [Name; 11] = [
    linear("blocks.*.mixer.Mamba.input.weight", "backbone.layers.*.mixer.in_proj.weight"),
    same("blocks.*.mixer.Mamba.input.bias", "backbone.layers.*.mixer.in_proj.bias"),
    taps("blocks.*.mixer.Mamba.conv.weight", "backbone.layers.*.mixer.conv1d.weight"),
    same("blocks.*.mixer.Mamba.conv.bias", "backbone.layers.*.mixer.conv1d.bias"),
    linear("blocks.*.mixer.Mamba.selection.weight", "backbone.layers.*.mixer.x_proj.weight"),
    linear("blocks.*.mixer.Mamba.dt.weight", "backbone.layers.*.mixer.dt_proj.weight"),
    same("blocks.*.mixer.Mamba.dt.bias", "backbone.layers.*.mixer.dt_proj.bias"),
    same("blocks.*.mixer.Mamba.a_log", "backbone.layers.*.mixer.A_log"),
    same("blocks.*.mixer.Mamba.d", "backbone.layers.*.mixer.D"),
    linear("blocks.*.mixer.Mamba.output.weight", "backbone.layers.*.mixer.out_proj.weight"),
    same("blocks.*.mixer.Mamba.output.bias", "backbone.layers.*.mixer.out_proj.bias"),
];
