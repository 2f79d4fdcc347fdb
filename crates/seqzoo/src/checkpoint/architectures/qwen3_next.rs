//! `qwen3_next` of transformers.

use super::backbone::object;
use super::rope;
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem};
use crate::checkpoint::layout::Layout;
use crate::checkpoint::names::{Copy, Name, Names, laid, linear, same};
use crate::layers::{GatedDeltaNetConfig, SoftmaxAttentionConfig};
use crate::models::{ChannelMixerConfig, LanguageModelConfig, NormKind};
use crate::parts::{MixtureOfExpertsConfig, ProjectionInit};
use serde_json::{Map, Value, json};

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "qwen3_next",
    class: "Qwen3NextForCausalLM",
    library: "transformers",
    describes: |_| true,
    read,
    write,
    names,
};

/// A kind of layers in `layer_types`: gated delta nets.
const LINEAR: &str = "linear_attention";
/// The other one: softmax attention.
const FULL: &str = "full_attention";

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    fields.only_silu("hidden_act")?;
    let count = fields.layers(48)?;
    let std = fields.number("initializer_range", 0.02)?;
    let initializer = ProjectionInit::Normal { std };
    let d_model = fields.whole("hidden_size", 2048)?;
    let linear: MixerConfig = gated_delta_net(fields, d_model)?.with_initializer(initializer).into();
    let full: MixerConfig = attention(fields, d_model)?.with_initializer(initializer).into();
    let mixer = |kind: &String| match kind.as_str() {
        LINEAR => Ok(linear.clone()),
        FULL => Ok(full.clone()),
        other => {
            Err(format!("`layer_types` names the kind \"{other}\", but \"{LINEAR}\" or \"{FULL}\" is wanted"))
        }
    };
    let pattern = kinds(fields, count)?.iter().map(mixer).collect::<Result<_, Problem>>()?;
    let config = LanguageModelConfig::new(fields.whole("vocab_size", 151_936)?, d_model, pattern)
        .with_norm(NormKind::ZeroCentredRms)
        .with_norm_epsilon(epsilon(fields)?)
        .with_tie_embeddings(fields.flag("tie_word_embeddings", false)?)
        .with_embedding_std(std)
        .with_initializer(initializer);
    let channels = channels(fields, count)?;
    Ok(match channels.iter().all(|channel| *channel == channels[0]) {
        true => config.with_channel_mixer(channels[0]),
        false => config.with_channel_pattern(channels),
    })
}

fn epsilon(fields: &Fields) -> Result<f64, Problem> {
    fields.number("rms_norm_eps", 1e-6)
}

/// The kinds of `count` layers.
fn kinds(fields: &Fields, count: usize) -> Result<Vec<String>, Problem> {
    if let Some(kinds) = fields.texts("layer_types")? {
        return match kinds.len() == count {
            true => Ok(kinds),
            false => {
                Err(format!("`layer_types` names {} layers, but `num_hidden_layers` is {count}", kinds.len()))
            }
        };
    }
    let interval = fields.whole("full_attention_interval", 4)?.max(1);
    let kind = |layer: usize| if layer.is_multiple_of(interval) { FULL } else { LINEAR };
    Ok((1..=count).map(|layer| kind(layer).to_string()).collect())
}

fn gated_delta_net(fields: &Fields, d_model: usize) -> Result<GatedDeltaNetConfig, Problem> {
    let (key, value) =
        (fields.whole("linear_key_head_dim", 128)?, fields.whole("linear_value_head_dim", 128)?);
    let (heads, memories) =
        (fields.whole("linear_num_key_heads", 16)?, fields.whole("linear_num_value_heads", 32)?);
    Ok(GatedDeltaNetConfig::new(d_model)
        .with_num_heads(heads)
        .with_num_v_heads((memories != heads).then_some(memories))
        .with_head_dim(key)
        .with_expand_v(value as f64 / key as f64)
        .with_conv_size(Some(fields.whole("linear_conv_kernel_dim", 4)?))
        .with_norm_epsilon(epsilon(fields)?))
}

fn attention(fields: &Fields, d_model: usize) -> Result<SoftmaxAttentionConfig, Problem> {
    let bias = fields.flag("attention_bias", false)?;
    let attention = SoftmaxAttentionConfig::qwen3_next(d_model)
        .with_num_heads(fields.whole("num_attention_heads", 16)?)
        .with_num_kv_heads(Some(fields.whole("num_key_value_heads", 2)?))
        .with_head_dim(Some(fields.whole("head_dim", 256)?))
        .with_norm_epsilon(epsilon(fields)?)
        .with_qkv_bias(bias)
        .with_output_bias(bias);
    rope::read(fields, attention, 0.25)
}

/// The feed-forwards of `count` layers.
fn channels(fields: &Fields, count: usize) -> Result<Vec<ChannelMixerConfig>, Problem> {
    let dense = ChannelMixerConfig::SwiGluOf { hidden: fields.whole("intermediate_size", 5632)? };
    let num_experts = fields.whole("num_experts", 512)?;
    let experts = MixtureOfExpertsConfig::new(
        num_experts,
        fields.whole("num_experts_per_tok", 10)?,
        fields.whole("moe_intermediate_size", 512)?,
    );
    let experts = experts
        .with_shared_hidden(Some(fields.whole("shared_expert_intermediate_size", 512)?))
        .with_normalise(fields.flag("norm_topk_prob", true)?)
        .with_balance(fields.number("router_aux_loss_coef", 0.001)?);
    let step = fields.whole("decoder_sparse_step", 1)?;
    if step == 0 {
        return Err("`decoder_sparse_step` is 0, but at least 1 is wanted".into());
    }
    let plain = match fields.given("mlp_only_layers") {
        Some(_) => fields.wholes("mlp_only_layers")?,
        None => Vec::new(),
    };
    if let Some(layer) = plain.iter().find(|layer| **layer >= count) {
        return Err(format!("`mlp_only_layers` names the layer {layer}, but there are {count} layers"));
    }
    let mut channels: Vec<_> = (1..=count)
        .map(|layer| match num_experts > 0 && layer.is_multiple_of(step) {
            true => ChannelMixerConfig::MixtureOfExperts(experts),
            false => dense,
        })
        .collect();
    plain.into_iter().for_each(|layer| channels[layer] = dense);
    Ok(channels)
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Map<String, Value>, Problem> {
    let kind = |layer: &MixerConfig| match layer {
        MixerConfig::GatedDeltaNet(_) => Ok(LINEAR),
        MixerConfig::SoftmaxAttention(_) => Ok(FULL),
        other => Err(format!("the library has no layer of the kind `{}`", other.kind())),
    };
    let kinds = layers.iter().map(kind).collect::<Result<Vec<_>, Problem>>()?;
    let mut fields = object(json!({
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": layers.len(),
        "layer_types": kinds,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_epsilon,
        "initializer_range": config.embedding_std,
        "tie_word_embeddings": config.tie_embeddings,
        "use_cache": true,
    }));
    if let Some(layer) = linear_layer(layers) {
        fields.extend(object(json!({
            "linear_num_key_heads": layer.num_heads,
            "linear_num_value_heads": layer.num_v_heads.unwrap_or(layer.num_heads),
            "linear_key_head_dim": layer.head_dim,
            "linear_value_head_dim": value_channels(layer),
            "linear_conv_kernel_dim": layer.conv_size,
        })));
    }
    if let Some(layer) = layers.iter().find_map(full_layer) {
        fields.extend(object(json!({
            "num_attention_heads": layer.num_heads,
            "num_key_value_heads": layer.num_kv_heads.unwrap_or(layer.num_heads),
            "head_dim": layer.head_dim.or_else(|| layer.d_model.checked_div(layer.num_heads)),
            "attention_bias": layer.qkv_bias,
            "rope_parameters": rope::write(layer)?,
            // What versions before these parameters read.
            "rope_theta": layer.rotary_base,
            "partial_rotary_factor": layer.rotary_fraction,
        })));
    }
    fields.extend(channel_fields(config, layers.len()));
    Ok(fields)
}

/// The fields of the feed-forwards of `count` layers.
fn channel_fields(config: &LanguageModelConfig, count: usize) -> Map<String, Value> {
    let channels: Vec<_> = (0..count).map(|layer| config.channel_mixer_of(layer)).collect();
    let experts = channels.iter().find_map(|channel| match channel {
        ChannelMixerConfig::MixtureOfExperts(experts) => Some(experts),
        _ => None,
    });
    let plain = channels.iter().enumerate().filter_map(|(layer, channel)| match channel {
        ChannelMixerConfig::MixtureOfExperts(_) => None,
        _ => Some(layer),
    });
    let plain: Vec<usize> = plain.collect();
    let mut fields = object(json!({"mlp_only_layers": plain, "decoder_sparse_step": 1}));
    if let Some(layer) = plain.first() {
        let hidden = match channels[*layer] {
            ChannelMixerConfig::SwiGluOf { hidden } => Value::from(hidden),
            // Not what the library computes, so that it is refused when it is read again.
            _ => Value::Null,
        };
        fields.insert("intermediate_size".into(), hidden);
    }
    if let Some(experts) = experts {
        fields.extend(object(json!({
            "num_experts": experts.num_experts,
            "num_experts_per_tok": experts.top_k,
            "moe_intermediate_size": experts.hidden,
            "shared_expert_intermediate_size": experts.shared_hidden,
            "norm_topk_prob": experts.normalise,
            "router_aux_loss_coef": experts.balance,
        })));
    }
    fields
}

fn linear_layer(layers: &[MixerConfig]) -> Option<&GatedDeltaNetConfig> {
    layers.iter().find_map(|layer| match layer {
        MixerConfig::GatedDeltaNet(layer) => Some(layer),
        _ => None,
    })
}

fn full_layer(layer: &MixerConfig) -> Option<&SoftmaxAttentionConfig> {
    match layer {
        MixerConfig::SoftmaxAttention(layer) => Some(layer),
        _ => None,
    }
}

/// The value channels of a head.
fn value_channels(layer: &GatedDeltaNetConfig) -> usize {
    (layer.head_dim as f64 * layer.expand_v).round() as usize
}

fn names(config: &LanguageModelConfig) -> Names {
    let mut names: Vec<Name> = COMMON.into_iter().chain(ATTENTION).collect();
    names.extend(linear_layer(&config.pattern).into_iter().flat_map(joint));
    let mixers = config.channel_pattern.iter().chain([&config.channel_mixer]);
    let experts = mixers.into_iter().find_map(|mixer| match mixer {
        ChannelMixerConfig::MixtureOfExperts(experts) => Some(experts),
        _ => None,
    });
    names.extend(experts.into_iter().flat_map(expert_names));
    let head = Copy { name: "lm_head.weight", of: "model.embed_tokens.weight" };
    Names {
        names,
        copies: if config.tie_embeddings { vec![head] } else { Vec::new() },
        // A head that guesses several tokens ahead.
        ignored: &["mtp."],
    }
}

/// The experts: one tensor each, or in files of newer versions all in one, the gate's rows before those of `up`.
fn expert_names(config: &MixtureOfExpertsConfig) -> [Name; 3] {
    let (count, hidden) = (config.num_experts, config.hidden);
    let half = |part| Layout::TRANSPOSED.rows(1, &[hidden; 2], part).stacked(count);
    let expert = |ours, published, (also, layout)| linear(ours, published).or_laid(also, layout);
    let both = "model.layers.*.mlp.experts.gate_up_proj";
    [
        expert(
            "blocks.*.channels.feed_forward.MixtureOfExperts.experts.*.gate.weight",
            "model.layers.*.mlp.experts.*.gate_proj.weight",
            (both, half(0)),
        ),
        expert(
            "blocks.*.channels.feed_forward.MixtureOfExperts.experts.*.up.weight",
            "model.layers.*.mlp.experts.*.up_proj.weight",
            (both, half(1)),
        ),
        expert(
            "blocks.*.channels.feed_forward.MixtureOfExperts.experts.*.down.weight",
            "model.layers.*.mlp.experts.*.down_proj.weight",
            ("model.layers.*.mlp.experts.down_proj", Layout::TRANSPOSED.stacked(count)),
        ),
    ]
}

/// The projections of the linear attention, of which those of each key head lie together, and its convolution, in which all
/// queries come first, then all keys, then all values.
fn joint(layer: &GatedDeltaNetConfig) -> [Name; 9] {
    let (heads, key) = (layer.num_heads, layer.head_dim);
    let memories = layer.num_v_heads.unwrap_or(heads);
    let group = memories.checked_div(heads).unwrap_or(0);
    let values = group.saturating_mul(value_channels(layer));
    let tokens = |part| Layout::TRANSPOSED.rows(heads, &[key, key, values, values], part);
    let scalars = |part| Layout::TRANSPOSED.rows(heads, &[group, group], part);
    let (keys, values) = (heads.saturating_mul(key), heads.saturating_mul(values));
    let taps = |part| Layout::DEPTHWISE.rows(1, &[keys, keys, values], part);
    let [qkvz, ba, conv] = [
        "model.layers.*.linear_attn.in_proj_qkvz.weight",
        "model.layers.*.linear_attn.in_proj_ba.weight",
        "model.layers.*.linear_attn.conv1d.weight",
    ];
    [
        laid("blocks.*.mixer.GatedDeltaNet.heads.query.weight", qkvz, tokens(0)),
        laid("blocks.*.mixer.GatedDeltaNet.heads.key.weight", qkvz, tokens(1)),
        laid("blocks.*.mixer.GatedDeltaNet.heads.value.weight", qkvz, tokens(2)),
        laid("blocks.*.mixer.GatedDeltaNet.gate.weight", qkvz, tokens(3)),
        laid("blocks.*.mixer.GatedDeltaNet.heads.beta.weight", ba, scalars(0)),
        laid("blocks.*.mixer.GatedDeltaNet.decay.projection.weight", ba, scalars(1)),
        laid("blocks.*.mixer.GatedDeltaNet.heads.convolutions.convs.0.weight", conv, taps(0)),
        laid("blocks.*.mixer.GatedDeltaNet.heads.convolutions.convs.1.weight", conv, taps(1)),
        laid("blocks.*.mixer.GatedDeltaNet.heads.convolutions.convs.2.weight", conv, taps(2)),
    ]
}

const COMMON: [Name; 16] = [
    same("embedding.weight", "model.embed_tokens.weight"),
    same("blocks.*.mixer_norm.Rms.gamma", "model.layers.*.input_layernorm.weight"),
    same("blocks.*.channels.norm.Rms.gamma", "model.layers.*.post_attention_layernorm.weight"),
    linear("blocks.*.channels.feed_forward.SwiGlu.gate.weight", "model.layers.*.mlp.gate_proj.weight"),
    linear("blocks.*.channels.feed_forward.SwiGlu.up.weight", "model.layers.*.mlp.up_proj.weight"),
    linear("blocks.*.channels.feed_forward.SwiGlu.down.weight", "model.layers.*.mlp.down_proj.weight"),
    linear(
        "blocks.*.channels.feed_forward.MixtureOfExperts.router.projection.weight",
        "model.layers.*.mlp.gate.weight",
    ),
    linear(
        "blocks.*.channels.feed_forward.MixtureOfExperts.shared.gate.weight",
        "model.layers.*.mlp.shared_expert_gate.weight",
    ),
    linear(
        "blocks.*.channels.feed_forward.MixtureOfExperts.shared.expert.gate.weight",
        "model.layers.*.mlp.shared_expert.gate_proj.weight",
    ),
    linear(
        "blocks.*.channels.feed_forward.MixtureOfExperts.shared.expert.up.weight",
        "model.layers.*.mlp.shared_expert.up_proj.weight",
    ),
    linear(
        "blocks.*.channels.feed_forward.MixtureOfExperts.shared.expert.down.weight",
        "model.layers.*.mlp.shared_expert.down_proj.weight",
    ),
    same("blocks.*.mixer.GatedDeltaNet.decay.gate.a_log", "model.layers.*.linear_attn.A_log"),
    same("blocks.*.mixer.GatedDeltaNet.decay.gate.dt_bias", "model.layers.*.linear_attn.dt_bias"),
    same("blocks.*.mixer.GatedDeltaNet.heads.norm.norm.gamma", "model.layers.*.linear_attn.norm.weight"),
    linear("blocks.*.mixer.GatedDeltaNet.heads.output.weight", "model.layers.*.linear_attn.out_proj.weight"),
    same("norm.Rms.gamma", "model.norm.weight"),
];

const ATTENTION: [Name; 11] = [
    linear("head.weight", "lm_head.weight"),
    // Of each head, the rows of its query and then those of its gate, as here.
    linear("blocks.*.mixer.SoftmaxAttention.query.weight", "model.layers.*.self_attn.q_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.query.bias", "model.layers.*.self_attn.q_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.key.weight", "model.layers.*.self_attn.k_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.key.bias", "model.layers.*.self_attn.k_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.value.weight", "model.layers.*.self_attn.v_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.value.bias", "model.layers.*.self_attn.v_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.output.weight", "model.layers.*.self_attn.o_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.output.bias", "model.layers.*.self_attn.o_proj.bias"),
    same("blocks.*.mixer.SoftmaxAttention.query_norm.gamma", "model.layers.*.self_attn.q_norm.weight"),
    same("blocks.*.mixer.SoftmaxAttention.key_norm.gamma", "model.layers.*.self_attn.k_norm.weight"),
];
