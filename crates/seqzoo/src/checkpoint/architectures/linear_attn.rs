//! `linear_attn` of flash-linear-attention.

use super::backbone::object;
use super::fla::{self, LIBRARY};
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem, Written};
use crate::checkpoint::names::{Copy, Name, Names, linear, same};
use crate::layers::LinearAttentionConfig;
use crate::models::LanguageModelConfig;
use crate::parts::FeatureMapKind;
use serde_json::json;

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "linear_attn",
    class: "LinearAttentionForCausalLM",
    library: LIBRARY,
    describes: |_| true,
    read,
    write,
    names,
};

const DEFAULTS: fla::Defaults = fla::Defaults { num_hidden_layers: 24, hidden_ratio: 4 };

/// The feature maps that both libraries have, by their names there.
const MAPS: [(&str, FeatureMapKind); 5] = [
    ("elementwise_product", FeatureMapKind::ElementwiseProduct),
    ("hedgehog", FeatureMapKind::Hedgehog),
    ("elu", FeatureMapKind::EluPlusOne),
    ("relu", FeatureMapKind::Relu),
    ("identity", FeatureMapKind::Identity),
];

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    let name = fields.text("feature_map", MAPS[0].0)?;
    let map = MAPS.iter().find(|(known, _)| *known == name).map(|(_, map)| *map).ok_or_else(|| {
        let known = MAPS.map(|(name, _)| name).join(", ");
        format!("`feature_map` is \"{name}\", which this library cannot compute; it can {known}")
    })?;
    let layer = LinearAttentionConfig::new(fla::hidden_size(fields)?)
        .with_num_heads(fields.whole("num_heads", 4)?)
        .with_num_kv_heads(fields.whole_or_null("num_kv_heads")?)
        .with_expand_k(fields.number("expand_k", 1.0)?)
        .with_expand_v(fields.number("expand_v", 1.0)?)
        .with_feature_map(map)
        .with_tie_feature_map(fields.flag("tie_feature_map_qk", false)?)
        .with_normalise(fields.flag("norm_feature_map", false)?)
        .with_norm_q(fields.flag("norm_q", false)?)
        .with_norm_k(fields.flag("norm_k", false)?)
        .with_norm_epsilon(fla::epsilon(fields)?)
        .with_initializer(fla::initializer(fields)?);
    DEFAULTS.model(fields, layer.into())
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Written, Problem> {
    let layer = fla::first(FORMAT.model_type, layers, mixer)?;
    let map = MAPS.iter().find(|(_, map)| *map == layer.feature_map).map(|(name, _)| *name);
    let map = map.ok_or_else(|| format!("the library has no feature map {:?}", layer.feature_map))?;
    let mut fields = fla::fields(config, layers);
    fields.extend(object(json!({
        "num_heads": layer.num_heads,
        "num_kv_heads": layer.num_kv_heads,
        "expand_k": layer.expand_k,
        "expand_v": layer.expand_v,
        "feature_map": map,
        "tie_feature_map_qk": layer.tie_feature_map,
        "norm_feature_map": layer.normalise,
        "norm_q": layer.norm_q,
        "norm_k": layer.norm_k,
    })));
    Ok(fields)
}

fn mixer(layer: &MixerConfig) -> Option<&LinearAttentionConfig> {
    match layer {
        MixerConfig::LinearAttention(layer) => Some(layer),
        _ => None,
    }
}

fn names(config: &LanguageModelConfig) -> Names {
    let layer = config.pattern.iter().find_map(mixer);
    let mut names = fla::names(config, MIXER);
    match layer.map(|layer| layer.feature_map) {
        Some(FeatureMapKind::Hedgehog) => names.names.extend(HEDGEHOG),
        _ => names.names.extend(PRODUCT),
    }
    // PyTorch lists a module that two fields share under both of them.
    if layer.is_some_and(|layer| layer.tie_feature_map) {
        names.copies.extend(TIED);
    }
    names
}

const MIXER: [Name; 5] = [
    linear("blocks.*.mixer.LinearAttention.query.weight", "model.layers.*.attn.q_proj.weight"),
    linear("blocks.*.mixer.LinearAttention.key.weight", "model.layers.*.attn.k_proj.weight"),
    linear("blocks.*.mixer.LinearAttention.value.weight", "model.layers.*.attn.v_proj.weight"),
    linear("blocks.*.mixer.LinearAttention.output.weight", "model.layers.*.attn.o_proj.weight"),
    same("blocks.*.mixer.LinearAttention.norm.gamma", "model.layers.*.attn.norm.weight"),
];

/// The maps of a product: two projections each.
const PRODUCT: [Name; 8] = [
    linear(
        "blocks.*.mixer.LinearAttention.query_map.linears.0.weight",
        "model.layers.*.attn.feature_map_q.layer1.weight",
    ),
    same(
        "blocks.*.mixer.LinearAttention.query_map.linears.0.bias",
        "model.layers.*.attn.feature_map_q.layer1.bias",
    ),
    linear(
        "blocks.*.mixer.LinearAttention.query_map.linears.1.weight",
        "model.layers.*.attn.feature_map_q.layer2.weight",
    ),
    same(
        "blocks.*.mixer.LinearAttention.query_map.linears.1.bias",
        "model.layers.*.attn.feature_map_q.layer2.bias",
    ),
    linear(
        "blocks.*.mixer.LinearAttention.key_map.linears.0.weight",
        "model.layers.*.attn.feature_map_k.layer1.weight",
    ),
    same(
        "blocks.*.mixer.LinearAttention.key_map.linears.0.bias",
        "model.layers.*.attn.feature_map_k.layer1.bias",
    ),
    linear(
        "blocks.*.mixer.LinearAttention.key_map.linears.1.weight",
        "model.layers.*.attn.feature_map_k.layer2.weight",
    ),
    same(
        "blocks.*.mixer.LinearAttention.key_map.linears.1.bias",
        "model.layers.*.attn.feature_map_k.layer2.bias",
    ),
];

/// The maps of a softmax: one projection each.
const HEDGEHOG: [Name; 4] = [
    linear(
        "blocks.*.mixer.LinearAttention.query_map.linears.0.weight",
        "model.layers.*.attn.feature_map_q.layer.weight",
    ),
    same(
        "blocks.*.mixer.LinearAttention.query_map.linears.0.bias",
        "model.layers.*.attn.feature_map_q.layer.bias",
    ),
    linear(
        "blocks.*.mixer.LinearAttention.key_map.linears.0.weight",
        "model.layers.*.attn.feature_map_k.layer.weight",
    ),
    same(
        "blocks.*.mixer.LinearAttention.key_map.linears.0.bias",
        "model.layers.*.attn.feature_map_k.layer.bias",
    ),
];

const TIED: [Copy; 6] = [
    copy("model.layers.*.attn.feature_map_k.layer.weight", "model.layers.*.attn.feature_map_q.layer.weight"),
    copy("model.layers.*.attn.feature_map_k.layer.bias", "model.layers.*.attn.feature_map_q.layer.bias"),
    copy(
        "model.layers.*.attn.feature_map_k.layer1.weight",
        "model.layers.*.attn.feature_map_q.layer1.weight",
    ),
    copy("model.layers.*.attn.feature_map_k.layer1.bias", "model.layers.*.attn.feature_map_q.layer1.bias"),
    copy(
        "model.layers.*.attn.feature_map_k.layer2.weight",
        "model.layers.*.attn.feature_map_q.layer2.weight",
    ),
    copy("model.layers.*.attn.feature_map_k.layer2.bias", "model.layers.*.attn.feature_map_q.layer2.bias"),
];

const fn copy(name: &'static str, of: &'static str) -> Copy {
    Copy { name, of }
}
