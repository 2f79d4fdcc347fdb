//! `hgrn2` of flash-linear-attention.

use super::backbone::object;
use super::fla::{self, LIBRARY};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::faithful;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Name, linear, same};
use crate::layers::Hgrn2Config;
use crate::models::LanguageModelConfig;
use crate::parts::Depth;
use serde_json::json;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "hgrn2",
    class: "HGRN2ForCausalLM",
    library: LIBRARY,
    describes: |_| true,
    read,
    write,
    names: |config| fla::names(config, MIXER),
};

const DEFAULTS: fla::Defaults = fla::Defaults { num_hidden_layers: 24, hidden_ratio: 4 };

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    fields.only("use_short_conv", false)?;
    let d_model = fla::hidden_size(fields)?;
    // Null leaves it to the number of heads; an absent one is 128.
    let ratio = match (fields.whole_or_null("expand_ratio")?, fields.whole_or_null("num_heads")?) {
        (Some(ratio), _) => ratio,
        (None, Some(heads)) if fields.has("expand_ratio") => {
            d_model.checked_div(heads).ok_or("`num_heads` is 0; at least 1 is wanted")?
        }
        (None, None) if fields.has("expand_ratio") => {
            return Err("`expand_ratio` is null, and so is `num_heads`; one of them is wanted".into());
        }
        _ => 128,
    };
    let layer = Hgrn2Config::new(d_model)
        .with_expand_ratio(ratio)
        .with_norm_epsilon(fla::epsilon(fields)?)
        .with_initializer(fla::initializer(fields)?);
    let model = DEFAULTS.model(fields, layer.into())?;
    Ok(if fields.flag("use_lower_bound", true)? { with_depths(model) } else { model })
}

/// The same model with layers that know where they stand, one by one.
fn with_depths(model: LanguageModelConfig) -> LanguageModelConfig {
    let layers = faithful::layers(&model);
    let count = layers.len();
    let placed = layers.into_iter().enumerate().map(|(place, layer)| match layer {
        MixerConfig::Hgrn2(layer) => layer.with_depth(Some(Depth::new(place, count))).into(),
        other => other,
    });
    LanguageModelConfig { pattern: placed.collect(), ..model }.with_num_layers(None)
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = fla::first(FORMAT.model_type, layers, |layer| match layer {
        MixerConfig::Hgrn2(layer) => Some(layer),
        _ => None,
    })?;
    let mut fields = fla::fields(config, layers);
    fields.extend(object(json!({
        "num_heads": layer.d_model.checked_div(layer.expand_ratio),
        "expand_ratio": layer.expand_ratio,
        "use_lower_bound": layer.depth.is_some(),
        "use_short_conv": false,
    })));
    Ok(fields)
}

const MIXER: [Name; 6] = [
    // One tensor for all layers, of which each has a copy here.
    same("blocks.*.mixer.Hgrn2.bounds.logits", "model.lower_bounds"),
    linear("blocks.*.mixer.Hgrn2.query.weight", "model.layers.*.attn.q_proj.weight"),
    linear("blocks.*.mixer.Hgrn2.forget.weight", "model.layers.*.attn.f_proj.weight"),
    linear("blocks.*.mixer.Hgrn2.value.weight", "model.layers.*.attn.i_proj.weight"),
    same("blocks.*.mixer.Hgrn2.norm.gamma", "model.layers.*.attn.g_norm.weight"),
    linear("blocks.*.mixer.Hgrn2.output.weight", "model.layers.*.attn.o_proj.weight"),
];
