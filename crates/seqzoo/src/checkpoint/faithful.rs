//! Whether the fields of an architecture say all that a model is.

use super::architectures::mamba;
use super::fields::Problem;
use crate::MixerConfig;
use crate::models::{ChannelMixerConfig, LanguageModelConfig};
use crate::parts::SwiGlu;
use serde_json::Value;

/// Options that say how parameters are drawn before training, and nothing of what a model computes.
const INITIAL: [&str; 7] =
    ["initializer", "embedding_std", "a_range", "dt_min", "dt_max", "dt_floor", "dt_scale"];

/// The layers of the model, one by one.
pub(super) fn layers(config: &LanguageModelConfig) -> Vec<MixerConfig> {
    let count = config.num_layers.unwrap_or(config.pattern.len());
    config.pattern.iter().cycle().take(count).cloned().collect()
}

/// The same model with everything written out that can be said in several ways.
pub(super) fn explicit(config: &LanguageModelConfig) -> LanguageModelConfig {
    let pattern = layers(config);
    let channels: Vec<_> = (0..pattern.len())
        .map(|layer| explicit_channels(config.channel_mixer_of(layer), config.d_model))
        .collect();
    let pattern = pattern.into_iter().map(explicit_layer).collect();
    let config = LanguageModelConfig { pattern, ..config.clone() }.with_num_layers(None);
    match channels.first() {
        Some(first) if channels.iter().all(|channels| channels == first) => {
            config.with_channel_mixer(*first).with_channel_pattern(Vec::new())
        }
        _ => config.with_channel_mixer(ChannelMixerConfig::SwiGlu).with_channel_pattern(channels),
    }
}

/// The same of a feed-forward.
fn explicit_channels(channels: ChannelMixerConfig, d_model: usize) -> ChannelMixerConfig {
    match channels {
        ChannelMixerConfig::SwiGlu => ChannelMixerConfig::SwiGluOf { hidden: SwiGlu::usual_hidden(d_model) },
        other => other,
    }
}

/// The same of a layer.
fn explicit_layer(layer: MixerConfig) -> MixerConfig {
    match layer {
        MixerConfig::Mamba(layer) => {
            let (inner, rank) = (mamba::inner(&layer), mamba::rank(&layer));
            mamba::with_inner(layer, inner).with_dt_rank(Some(rank)).into()
        }
        MixerConfig::Hgrn2(layer) => {
            let heads = layer.d_model.checked_div(layer.expand_ratio);
            match layer.num_heads == heads {
                true => layer.with_num_heads(None).into(),
                false => layer.into(),
            }
        }
        MixerConfig::GatedDeltaNet(layer) => {
            let memories = layer.num_v_heads.filter(|memories| *memories != layer.num_heads);
            layer.with_num_v_heads(memories).into()
        }
        MixerConfig::SoftmaxAttention(layer) => {
            let usual = layer.d_model.checked_div(layer.num_heads);
            let kv_heads = layer.num_kv_heads.filter(|heads| *heads != layer.num_heads);
            let head_dim = layer.head_dim.filter(|channels| Some(*channels) != usual);
            layer.with_num_kv_heads(kv_heads).with_head_dim(head_dim).into()
        }
        MixerConfig::RgLru(layer) => {
            let width = layer.lru_width.filter(|width| *width != layer.d_model);
            layer.with_lru_width(width).into()
        }
        other => other,
    }
}

/// Says what is lost of `wanted` when it is written and read again as `found`; both explicit.
pub(super) fn check(wanted: &LanguageModelConfig, found: &LanguageModelConfig) -> Result<(), Problem> {
    let value = |config| serde_json::to_value(config).expect("a configuration is JSON");
    match difference("", &value(wanted), &value(found)) {
        None => Ok(()),
        Some((path, wanted, found)) => {
            Err(format!("the model has `{path}` = {wanted}, but such a directory can only say {found}"))
        }
    }
}

/// The first place where the two differ in what is computed.
fn difference<'a>(path: &str, wanted: &'a Value, found: &'a Value) -> Option<(String, &'a Value, &'a Value)> {
    let join = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(others)) if wanted.keys().eq(others.keys()) => wanted
            .iter()
            .filter(|(name, _)| !INITIAL.contains(&name.as_str()))
            .find_map(|(name, value)| difference(&join(name), value, &others[name])),
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => items
            .iter()
            .zip(others)
            .enumerate()
            .find_map(|(index, (item, other))| difference(&format!("{path}[{index}]"), item, other)),
        (Value::Number(number), Value::Number(other)) if number.as_f64() == other.as_f64() => None,
        _ if wanted == found => None,
        // Layers of different kinds are told by their kinds.
        (Value::Object(fields), Value::Object(others)) if fields.contains_key("kind") => {
            Some((join("kind"), &fields["kind"], others.get("kind").unwrap_or(found)))
        }
        _ => Some((path.to_string(), wanted, found)),
    }
}
