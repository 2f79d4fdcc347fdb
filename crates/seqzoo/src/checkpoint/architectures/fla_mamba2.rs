//! `mamba2` of flash-linear-attention, in both of its versions. The older one names its fields as transformers does and
//! normalises all channels together; the newer one (it has `rmsnorm`) names them as mamba_ssm does and normalises each group
//! by itself.

use super::backbone::{Defaults, object};
use super::mamba2::{self, first, heads, limits, read_limits};
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::layers::Mamba2Config;
use crate::models::LanguageModelConfig;
use serde_json::json;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "mamba2",
    class: "Mamba2ForCausalLM",
    library: "flash-linear-attention",
    describes: |fields| fields.has("norm_eps"),
    read,
    write: |config, layers| {
        let layer = first(layers)?;
        let mut fields = DEFAULTS.fields(config, layers.len());
        fields.extend(mamba2::layer_fields(layer));
        fields.extend(limits("time_step_limit", layer.dt_limit));
        if layer.norm_groups != Some(1) {
            fields.extend(newer_fields(layer));
        }
        Ok(fields)
    },
    names: |config| mamba2::names(config),
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_000,
    hidden_size: 2048,
    num_hidden_layers: 48,
    initializer_range: 0.02,
    residual_in_fp32: true,
    tied: false,
    epsilon: "norm_eps",
};

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    let layer = mamba2::layer(fields, DEFAULTS.hidden_size(fields)?, 1)?;
    heads(fields, &layer, None)?;
    let layer = layer.with_norm_epsilon(DEFAULTS.epsilon(fields)?);
    let layer = match fields.has("rmsnorm") {
        true => newer(fields, layer)?,
        false => older(fields, layer)?,
    };
    DEFAULTS.model(fields, layer.into())
}

fn older(fields: &Fields, layer: Mamba2Config) -> Result<Mamba2Config, Problem> {
    let groups = (layer.n_groups > 1).then_some(1);
    Ok(layer.with_dt_limit(read_limits(fields, "time_step_limit")?).with_norm_groups(groups))
}

fn newer(fields: &Fields, layer: Mamba2Config) -> Result<Mamba2Config, Problem> {
    Ok(layer
        .with_dt_limit(read_limits(fields, "dt_limit")?)
        .with_dt_min(fields.number("dt_min", 1e-3)?)
        .with_dt_max(fields.number("dt_max", 1e-1)?)
        .with_dt_floor(fields.number("dt_init_floor", 1e-4)?)
        .with_d_per_channel(fields.flag("D_has_hdim", false)?)
        .with_rms_norm(fields.flag("rmsnorm", true)?)
        .with_norm_before_gate(fields.flag("norm_before_gate", false)?))
}

fn newer_fields(layer: &Mamba2Config) -> Written {
    let mut fields = object(json!({
        "dt_min": layer.dt_min,
        "dt_max": layer.dt_max,
        "dt_init_floor": layer.dt_floor,
        "D_has_hdim": layer.d_per_channel,
        "rmsnorm": layer.rms_norm,
        "norm_before_gate": layer.norm_before_gate,
    }));
    fields.extend(limits("dt_limit", layer.dt_limit));
    fields
}
