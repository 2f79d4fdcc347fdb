//! A small model of every kind of layer, and hybrids of them.

use burn::tensor::Device;
use seqzoo::MixerConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig};
use serde_json::{Value, json};

pub const VOCABULARY: usize = 23;

/// What makes a layer small that is published for hundreds or thousands of channels.
pub fn small(kind: &str) -> Value {
    match kind {
        "gated_delta_net" | "kimi_delta_attention" | "gated_delta_product" | "mixture_of_memories" => {
            json!({"num_heads": 2, "head_dim": 4})
        }
        "neural_memory" | "titans_mac" | "titans_mag" | "titans_mal" => {
            json!({"num_heads": 2, "expand_hidden": 0.5})
        }
        "landmark_attention" => json!({"num_heads": 2, "block": 4}),
        "mamba2" => json!({"head_dim": 4, "d_state": 4}),
        "hgrn2" => json!({"expand_ratio": 4}),
        "differential_attention" | "rg_lru" => json!({"num_heads": 2}),
        "s5" => json!({"d_state": 8, "blocks": 2}),
        "lmu" => json!({"order": 8}),
        _ => json!({}),
    }
}

/// Layer patterns: each layer alone, and a hybrid.
pub fn patterns() -> Vec<Vec<MixerConfig>> {
    let layer =
        |kind: &str| MixerConfig::from_options(kind, 16, small(kind).as_object().unwrap().clone()).unwrap();
    let mut all: Vec<_> = MixerConfig::KINDS.iter().map(|kind| vec![layer(kind), layer(kind)]).collect();
    all.push(vec![layer("base_conv"), layer("gated_linear_attention"), layer("softmax_attention")]);
    all
}

pub fn config(pattern: Vec<MixerConfig>) -> LanguageModelConfig {
    // A wide head makes the untrained model choose, and not repeat itself.
    LanguageModelConfig::new(VOCABULARY, 16, pattern).with_embedding_std(0.5)
}

pub fn model(pattern: Vec<MixerConfig>, device: &Device) -> LanguageModel {
    device.seed(3);
    config(pattern).with_channel_mixer(ChannelMixerConfig::SwiGlu).init(device)
}
