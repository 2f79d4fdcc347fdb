//! Rotary positions in the fields of transformers.

use super::backbone::object;
use crate::checkpoint::fields::{Fields, Problem};
use crate::layers::SoftmaxAttentionConfig;
use crate::parts::RotaryScaling;
use serde_json::{Value, json};

/// `attention` with the rotary positions of these fields: those of `rope_parameters`, or in older files of `rope_theta`,
/// `partial_rotary_factor` and `rope_scaling`. `fraction` of a head's channels turn where nothing is said.
pub(super) fn read(
    fields: &Fields,
    attention: SoftmaxAttentionConfig,
    fraction: f64,
) -> Result<SoftmaxAttentionConfig, Problem> {
    let base = fields.number("rope_theta", 10_000.0)?;
    let fraction = fields.number("partial_rotary_factor", fraction)?;
    let (name, rope) = match fields.object("rope_parameters")? {
        Some(rope) => ("rope_parameters", Some(rope)),
        None => ("rope_scaling", fields.object("rope_scaling")?),
    };
    let Some(rope) = rope else {
        return Ok(attention.with_rotary_base(base).with_rotary_fraction(fraction));
    };
    let within = |problem: Problem| format!("in `{name}`, {problem}");
    Ok(attention
        .with_rotary_base(rope.number("rope_theta", base).map_err(within)?)
        .with_rotary_fraction(rope.number("partial_rotary_factor", fraction).map_err(within)?)
        .with_rotary_scaling(scaling(fields, &rope).map_err(within)?))
}

/// How frequencies are changed.
fn scaling(fields: &Fields, rope: &Fields) -> Result<RotaryScaling, Problem> {
    let name = if rope.has("rope_type") { "rope_type" } else { "type" };
    let factor = || match rope.given("factor") {
        Some(_) => rope.number("factor", 1.0),
        None => Err("`factor` is missing".into()),
    };
    match rope.text(name, "default")?.as_str() {
        "default" => Ok(RotaryScaling::None),
        "linear" => Ok(RotaryScaling::Linear { factor: factor()? }),
        "yarn" => {
            rope.only("mscale", Value::Null)?;
            rope.only("mscale_all_dim", Value::Null)?;
            let length = fields.whole("max_position_embeddings", 32_768)?;
            let original = rope.whole_or_null("original_max_position_embeddings")?;
            Ok(RotaryScaling::Yarn {
                factor: factor()?,
                original_length: original.unwrap_or(length),
                beta_fast: rope.number_or_null("beta_fast")?.unwrap_or(32.0),
                beta_slow: rope.number_or_null("beta_slow")?.unwrap_or(1.0),
                attention_factor: rope.number_or_null("attention_factor")?,
                truncate: rope.flag("truncate", true)?,
            })
        }
        other => Err(format!(
            "`{name}` is \"{other}\", which this library cannot compute; it can \"default\", \"linear\" and \"yarn\""
        )),
    }
}

/// `rope_parameters` of a layer.
pub(super) fn write(attention: &SoftmaxAttentionConfig) -> Result<Value, Problem> {
    let scaling = match attention.rotary_scaling {
        RotaryScaling::None => json!({"rope_type": "default"}),
        RotaryScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
        RotaryScaling::Yarn { factor, original_length, beta_fast, beta_slow, attention_factor, truncate } => {
            json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original_length,
                "beta_fast": beta_fast,
                "beta_slow": beta_slow,
                "attention_factor": attention_factor,
                "truncate": truncate,
            })
        }
        RotaryScaling::Ntk { .. } => {
            return Err("the library has no fixed NTK-aware scaling of rotary positions".into());
        }
    };
    let mut rope = object(scaling);
    rope.insert("rope_theta".into(), attention.rotary_base.into());
    rope.insert("partial_rotary_factor".into(), attention.rotary_fraction.into());
    Ok(rope.into())
}
