//! `recurrent_gemma` of transformers.

use super::backbone::object;
use super::rope;
use crate::MixerConfig;
use crate::checkpoint::architecture::Format;
use crate::checkpoint::fields::{Fields, Problem};
use crate::checkpoint::names::{Copy, Name, Names, linear, same, taps};
use crate::layers::{RgLruConfig, SoftmaxAttentionConfig};
use crate::models::{ChannelMixerConfig, LanguageModelConfig, NormKind};
use burn::tensor::bf16;
use serde_json::{Map, Value, json};

pub(in crate::checkpoint) const FORMAT: Format = Format {
    model_type: "recurrent_gemma",
    class: "RecurrentGemmaForCausalLM",
    library: "transformers",
    describes: |_| true,
    read,
    write,
    names,
};

/// A kind of layers in `block_types`: recurrent blocks. `layer_types` calls them `linear_attention`.
const RECURRENT: &str = "recurrent";
/// The other one: local attention. `layer_types` calls it `sliding_attention`.
const ATTENDING: &str = "attention";

/// The only activation.
const GELU: &str = "gelu_pytorch_tanh";

fn read(fields: &Fields) -> Result<LanguageModelConfig, Problem> {
    fields.only("hidden_activation", GELU)?;
    let count = fields.layers(26)?;
    let d_model = fields.whole("hidden_size", 2560)?;
    let recurrent: MixerConfig = rg_lru(fields, d_model)?.into();
    let attending: MixerConfig = attention(fields, d_model)?.into();
    let mixer = |(name, kind): (&str, String)| match kind.as_str() {
        RECURRENT | "linear_attention" => Ok(recurrent.clone()),
        ATTENDING | "sliding_attention" => Ok(attending.clone()),
        other => Err(format!(
            "`{name}` names the kind \"{other}\", but \"{RECURRENT}\" or \"{ATTENDING}\" is wanted"
        )),
    };
    let pattern = kinds(fields, count)?.map(mixer).collect::<Result<_, Problem>>()?;
    let hidden = fields.whole("intermediate_size", 7680)? / 2;
    Ok(LanguageModelConfig::new(fields.whole("vocab_size", 256_000)?, d_model, pattern)
        .with_channel_mixer(ChannelMixerConfig::GeGlu { hidden, bias: true })
        .with_tie_embeddings(fields.flag("tie_word_embeddings", true)?)
        .with_norm(NormKind::ZeroCentredRms)
        .with_norm_epsilon(fields.number("rms_norm_eps", 1e-6)?)
        .with_embedding_scale(embedding_scale(d_model))
        .with_logit_cap(Some(fields.number("logits_soft_cap", 30.0)?)))
}

/// `√D`, which the library keeps in `bf16`.
fn embedding_scale(d_model: usize) -> f64 {
    bf16::from_f32((d_model as f64).sqrt() as f32).to_f64()
}

/// The field that names the kinds of layers, and those of `count` layers.
fn kinds(fields: &Fields, count: usize) -> Result<impl Iterator<Item = (&'static str, String)>, Problem> {
    let name = if fields.given("block_types").is_some() { "block_types" } else { "layer_types" };
    let default = || [RECURRENT, RECURRENT, ATTENDING].map(String::from).to_vec();
    let kinds = fields.texts(name)?.unwrap_or_else(default);
    match kinds.is_empty() {
        true => Err(format!("`{name}` names no layer")),
        false => Ok(kinds.into_iter().cycle().take(count).map(move |kind| (name, kind))),
    }
}

fn heads(fields: &Fields) -> Result<usize, Problem> {
    fields.whole("num_attention_heads", 10)
}

fn rg_lru(fields: &Fields, d_model: usize) -> Result<RgLruConfig, Problem> {
    Ok(RgLruConfig::new(d_model)
        .with_lru_width(fields.whole_or_null("lru_width")?.filter(|width| *width != d_model))
        .with_num_heads(heads(fields)?)
        .with_d_conv(fields.whole("conv1d_width", 4)?))
}

fn attention(fields: &Fields, d_model: usize) -> Result<SoftmaxAttentionConfig, Problem> {
    let heads = heads(fields)?;
    let head_dim = fields.whole_or_null("head_dim")?.or_else(|| d_model.checked_div(heads));
    let attention = SoftmaxAttentionConfig::recurrent_gemma(d_model)
        .with_num_heads(heads)
        .with_num_kv_heads(Some(fields.whole_or_null("num_key_value_heads")?.unwrap_or(heads)))
        .with_head_dim(head_dim)
        .with_window(Some(fields.whole("attention_window_size", 2048)?))
        .with_qkv_bias(fields.flag("attention_bias", false)?);
    rope::read(fields, attention, 0.5)
}

fn write(config: &LanguageModelConfig, layers: &[MixerConfig]) -> Result<Map<String, Value>, Problem> {
    let kind = |layer: &MixerConfig| match layer {
        MixerConfig::RgLru(_) => Ok(RECURRENT),
        MixerConfig::SoftmaxAttention(_) => Ok(ATTENDING),
        other => Err(format!("the library has no layer of the kind `{}`", other.kind())),
    };
    let mut kinds = layers.iter().map(kind).collect::<Result<Vec<_>, Problem>>()?;
    // They are repeated from the front.
    let period = (1..kinds.len()).find(|period| kinds[*period..] == kinds[..kinds.len() - period]);
    kinds.truncate(period.unwrap_or(kinds.len()));
    let hidden = match config.channel_mixer {
        ChannelMixerConfig::GeGlu { hidden, .. } => Value::from(hidden.saturating_mul(2)),
        // Not what the library computes, so that it is refused when it is read again.
        _ => Value::Null,
    };
    let mut fields = object(json!({
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": hidden,
        "num_hidden_layers": layers.len(),
        "block_types": kinds,
        "hidden_activation": GELU,
        "rms_norm_eps": config.norm_epsilon,
        "logits_soft_cap": config.logit_cap,
        "tie_word_embeddings": config.tie_embeddings,
        "use_cache": true,
    }));
    for layer in layers {
        match layer {
            MixerConfig::RgLru(layer) => fields.extend(object(json!({
                "num_attention_heads": layer.num_heads,
                "lru_width": layer.lru_width.unwrap_or(layer.d_model),
                "conv1d_width": layer.d_conv,
            }))),
            MixerConfig::SoftmaxAttention(layer) => fields.extend(object(json!({
                "num_attention_heads": layer.num_heads,
                "num_key_value_heads": layer.num_kv_heads.unwrap_or(layer.num_heads),
                "head_dim": layer.head_dim.or_else(|| layer.d_model.checked_div(layer.num_heads)),
                "attention_window_size": layer.window,
                "attention_bias": layer.qkv_bias,
                "rope_parameters": rope::write(layer)?,
                // What versions before these parameters read.
                "rope_theta": layer.rotary_base,
                "partial_rotary_factor": layer.rotary_fraction,
            }))),
            _ => {}
        }
    }
    Ok(fields)
}

fn names(config: &LanguageModelConfig) -> Names {
    let head = Copy { name: "lm_head.weight", of: "model.embed_tokens.weight" };
    Names {
        names: COMMON.into_iter().chain(ATTENTION).chain(RECURRENCE).collect(),
        copies: if config.tie_embeddings { vec![head] } else { Vec::new() },
        ignored: &[],
    }
}

const COMMON: [Name; 11] = [
    same("embedding.weight", "model.embed_tokens.weight"),
    same("blocks.*.mixer_norm.Rms.gamma", "model.layers.*.temporal_pre_norm.weight"),
    same("blocks.*.channels.norm.Rms.gamma", "model.layers.*.channel_pre_norm.weight"),
    linear("blocks.*.channels.feed_forward.GeGlu.gate.weight", "model.layers.*.mlp_block.gate_proj.weight"),
    same("blocks.*.channels.feed_forward.GeGlu.gate.bias", "model.layers.*.mlp_block.gate_proj.bias"),
    linear("blocks.*.channels.feed_forward.GeGlu.up.weight", "model.layers.*.mlp_block.up_proj.weight"),
    same("blocks.*.channels.feed_forward.GeGlu.up.bias", "model.layers.*.mlp_block.up_proj.bias"),
    linear("blocks.*.channels.feed_forward.GeGlu.down.weight", "model.layers.*.mlp_block.down_proj.weight"),
    same("blocks.*.channels.feed_forward.GeGlu.down.bias", "model.layers.*.mlp_block.down_proj.bias"),
    same("norm.Rms.gamma", "model.final_norm.weight"),
    linear("head.weight", "lm_head.weight"),
];

const ATTENTION: [Name; 8] = [
    linear("blocks.*.mixer.SoftmaxAttention.query.weight", "model.layers.*.temporal_block.q_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.query.bias", "model.layers.*.temporal_block.q_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.key.weight", "model.layers.*.temporal_block.k_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.key.bias", "model.layers.*.temporal_block.k_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.value.weight", "model.layers.*.temporal_block.v_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.value.bias", "model.layers.*.temporal_block.v_proj.bias"),
    linear("blocks.*.mixer.SoftmaxAttention.output.weight", "model.layers.*.temporal_block.o_proj.weight"),
    same("blocks.*.mixer.SoftmaxAttention.output.bias", "model.layers.*.temporal_block.o_proj.bias"),
];

const RECURRENCE: [Name; 13] = [
    linear("blocks.*.mixer.RgLru.input.weight", "model.layers.*.temporal_block.linear_x.weight"),
    same("blocks.*.mixer.RgLru.input.bias", "model.layers.*.temporal_block.linear_x.bias"),
    linear("blocks.*.mixer.RgLru.gate.weight", "model.layers.*.temporal_block.linear_y.weight"),
    same("blocks.*.mixer.RgLru.gate.bias", "model.layers.*.temporal_block.linear_y.bias"),
    taps("blocks.*.mixer.RgLru.conv.weight", "model.layers.*.temporal_block.conv_1d.weight"),
    same("blocks.*.mixer.RgLru.conv.bias", "model.layers.*.temporal_block.conv_1d.bias"),
    same("blocks.*.mixer.RgLru.unit.lambda", "model.layers.*.temporal_block.rg_lru.recurrent_param"),
    same(
        "blocks.*.mixer.RgLru.unit.input_gate.weight",
        "model.layers.*.temporal_block.rg_lru.input_gate_weight",
    ),
    same("blocks.*.mixer.RgLru.unit.input_gate.bias", "model.layers.*.temporal_block.rg_lru.input_gate_bias"),
    same(
        "blocks.*.mixer.RgLru.unit.recurrence_gate.weight",
        "model.layers.*.temporal_block.rg_lru.recurrent_gate_weight",
    ),
    same(
        "blocks.*.mixer.RgLru.unit.recurrence_gate.bias",
        "model.layers.*.temporal_block.rg_lru.recurrent_gate_bias",
    ),
    linear("blocks.*.mixer.RgLru.output.weight", "model.layers.*.temporal_block.linear_out.weight"),
    same("blocks.*.mixer.RgLru.output.bias", "model.layers.*.temporal_block.linear_out.bias"),
];
