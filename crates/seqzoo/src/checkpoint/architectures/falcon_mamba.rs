//! `falcon_mamba` of transformers: Mamba with norms without scales on what makes the step, on `B` and on `C`.

use super::backbone::Defaults;
use super::mamba::{self, first, inner, with_inner};
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem};
use crate::models::LanguageModelConfig;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "falcon_mamba",
    class: "FalconMambaForCausalLM",
    library: "transformers",
    describes: |_| true,
    read,
    write: |config, layers| {
        let mut fields = DEFAULTS.fields(config, layers.len());
        fields.extend(mamba::layer_fields(layers)?);
        let layer = first(layers)?;
        // A whole number, as the library wants it: `intermediate_size` says the rest.
        fields.insert("expand".into(), layer.expand.into());
        // Absent norms are not read back, and refused for it.
        fields.insert("mixer_rms_eps".into(), layer.selection_norm_epsilon.unwrap_or(1e-6).into());
        Ok(fields)
    },
    names: |config| mamba::names(config),
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
    let layer = mamba::layer(fields, d_model)?
        .with_selection_norm_epsilon(Some(fields.number("mixer_rms_eps", 1e-6)?));
    // Where it is given it counts, whatever `expand` says.
    let inner = fields.whole_or_null("intermediate_size")?.unwrap_or(inner(&layer));
    let layer = with_inner(layer, inner);
    DEFAULTS.model(fields, layer.into())
}
