//! `mamba2` of transformers.

use super::backbone::{self, Defaults, expansion};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written, written};
use crate::checkpoint::names::{Name, Names, linear, same, taps};
use crate::layers::Mamba2Config;
use crate::models::LanguageModelConfig;
use serde_json::{Value, json};

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "mamba2",
    class: "Mamba2ForCausalLM",
    library: "transformers",
    describes: |fields| !fields.has("norm_eps"),
    read,
    write: |config, layers| {
        let layer = first(layers)?;
        let mut fields = DEFAULTS.fields(config, layers.len());
        fields.extend(layer_fields(layer));
        fields.extend(limits("time_step_limit", layer.dt_limit));
        Ok(fields)
    },
    names: |config| names(config),
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_768,
    hidden_size: 4096,
    num_hidden_layers: 64,
    initializer_range: 0.1,
    residual_in_fp32: true,
    tied: false,
    epsilon: "layer_norm_epsilon",
};

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    let layer = layer(fields, DEFAULTS.hidden_size(fields)?, 8)?;
    heads(fields, &layer, Some(128))?;
    let layer = layer
        .with_norm_epsilon(DEFAULTS.epsilon(fields)?)
        .with_dt_limit(read_limits(fields, "time_step_limit")?);
    DEFAULTS.model(fields, layer.into())
}

/// The layer of a model of `d_model` channels, in what both libraries agree on.
pub(super) fn layer(fields: &Fields, d_model: usize, groups: usize) -> Result<Mamba2Config, Problem> {
    let expand = expansion(fields)?;
    if expand.fract() != 0.0 {
        return Err(format!(
            "`expand` is {expand}, which this library cannot compute; it can a whole number"
        ));
    }
    Ok(Mamba2Config::new(d_model)
        .with_d_state(fields.whole("state_size", 128)?)
        .with_d_conv(fields.whole("conv_kernel", 4)?)
        .with_expand(expand as usize)
        .with_head_dim(fields.whole("head_dim", 64)?)
        .with_n_groups(fields.whole("n_groups", groups)?)
        .with_dt_min(fields.number("time_step_min", 1e-3)?)
        .with_dt_max(fields.number("time_step_max", 1e-1)?)
        .with_dt_floor(fields.number("time_step_floor", 1e-4)?)
        .with_conv_bias(fields.flag("use_conv_bias", true)?)
        .with_bias(fields.flag("use_bias", false)?))
}

/// Says if `num_heads` heads are not those that the layer has.
pub(super) fn heads(fields: &Fields, layer: &Mamba2Config, default: Option<usize>) -> Result<(), Problem> {
    let given = fields.whole_or_null("num_heads")?.or(default);
    let inner = layer.expand.saturating_mul(layer.d_model);
    match given {
        Some(heads) if heads.checked_mul(layer.head_dim) != Some(inner) => Err(format!(
            "`num_heads` is {heads} and `head_dim` {}, but their product must be {inner}, `expand` times `hidden_size`",
            layer.head_dim
        )),
        _ => Ok(()),
    }
}

/// The least and the greatest step in the field `name`, if it limits any.
pub(super) fn read_limits(fields: &Fields, name: &str) -> Result<Option<(f64, f64)>, Problem> {
    let [least, greatest] = fields.numbers(name, [0.0, f64::INFINITY])?;
    // The largest number that there is limits nothing.
    let limits = (least.max(0.0), greatest.min(f64::from(f32::MAX)));
    Ok((limits != (0.0, f64::from(f32::MAX))).then_some(limits))
}

/// The field `name` of these limits; none where every step is allowed, as all versions of the libraries then know.
pub(super) fn limits(name: &str, limits: Option<(f64, f64)>) -> Option<(String, Value)> {
    limits.map(|(least, greatest)| {
        let greatest = if greatest >= f64::from(f32::MAX) { f64::INFINITY } else { greatest };
        (name.into(), json!([least, written(greatest)]))
    })
}

pub(super) fn layer_fields(layer: &Mamba2Config) -> Written {
    backbone::object(json!({
        "state_size": layer.d_state,
        "expand": layer.expand,
        "num_heads": (layer.expand * layer.d_model).checked_div(layer.head_dim),
        "head_dim": layer.head_dim,
        "n_groups": layer.n_groups,
        "conv_kernel": layer.d_conv,
        "time_step_min": layer.dt_min,
        "time_step_max": layer.dt_max,
        "time_step_floor": layer.dt_floor,
        "use_conv_bias": layer.conv_bias,
        "use_bias": layer.bias,
        "rms_norm": true,
        "chunk_size": 256,
    }))
}

/// The first layer, if it is of this kind.
pub(super) fn first(layers: &[MixerConfig]) -> Result<&Mamba2Config, Problem> {
    match layers.first() {
        Some(MixerConfig::Mamba2(layer)) => Ok(layer),
        _ => Err("its layers are not of the kind `mamba2`".into()),
    }
}

pub(super) fn names(config: &LanguageModelConfig) -> Names {
    backbone::names(config, MIXER)
}

const MIXER: [Name; 10] = [
    linear("blocks.*.mixer.Mamba2.input.weight", "backbone.layers.*.mixer.in_proj.weight"),
    same("blocks.*.mixer.Mamba2.input.bias", "backbone.layers.*.mixer.in_proj.bias"),
    taps("blocks.*.mixer.Mamba2.conv.weight", "backbone.layers.*.mixer.conv1d.weight"),
    same("blocks.*.mixer.Mamba2.conv.bias", "backbone.layers.*.mixer.conv1d.bias"),
    same("blocks.*.mixer.Mamba2.dt_bias", "backbone.layers.*.mixer.dt_bias"),
    same("blocks.*.mixer.Mamba2.a_log", "backbone.layers.*.mixer.A_log"),
    same("blocks.*.mixer.Mamba2.d", "backbone.layers.*.mixer.D"),
    same("blocks.*.mixer.Mamba2.norm.gamma", "backbone.layers.*.mixer.norm.weight"),
    linear("blocks.*.mixer.Mamba2.output.weight", "backbone.layers.*.mixer.out_proj.weight"),
    same("blocks.*.mixer.Mamba2.output.bias", "backbone.layers.*.mixer.out_proj.bias"),
];
