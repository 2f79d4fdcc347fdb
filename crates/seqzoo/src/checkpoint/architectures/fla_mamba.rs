//! `mamba` of flash-linear-attention: that of transformers, with other defaults and another name of the norms' epsilon.

use super::backbone::Defaults;
use super::mamba;
use crate::checkpoint::architecture::Format;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "mamba",
    class: "MambaForCausalLM",
    library: "flash-linear-attention",
    describes: |fields| fields.has("norm_eps"),
    read: |fields| {
        let layer = mamba::layer(fields, DEFAULTS.hidden_size(fields)?)?;
        DEFAULTS.model(fields, layer.into())
    },
    write: |config, layers| {
        let mut fields = DEFAULTS.fields(config, layers.len());
        fields.extend(mamba::layer_fields(layers)?);
        Ok(fields)
    },
    names: |config| mamba::names(config),
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_000,
    hidden_size: 2048,
    num_hidden_layers: 48,
    initializer_range: 0.02,
    residual_in_fp32: false,
    tied: false,
    epsilon: "norm_eps",
};
