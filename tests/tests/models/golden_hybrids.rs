//! Rung 6: Qwen3-Next and RecurrentGemma of transformers give the same logits, loss and gradients.

use super::golden::{check_logits_and_gradients, load, record_norm, record_swiglu};
use burn::tensor::Gradients;
use seqzoo::Mixer;
use seqzoo::layers::{GatedDeltaNet, RgLru, SoftmaxAttention};
use seqzoo::models::{FeedForward, LanguageModel};
use seqzoo::parts::MixtureOfExperts;
use seqzoo_tests::{ReferenceGradients, autodiff};

/// Of linear attention; the projections of each of two key heads lie together.
fn record_delta(mixer: &GatedDeltaNet, layer: &str, found: &mut ReferenceGradients, gradients: &Gradients) {
    let name = |part: &str| format!("{layer}.linear_attn.{part}");
    let heads = &mixer.heads;
    found.linear(&name("out_proj"), &heads.output, gradients);
    found.parameter(&name("norm.weight"), &heads.norm.norm.gamma, gradients);
    found.parameter(&name("A_log"), &mixer.decay.gate.a_log, gradients);
    found.parameter(&name("dt_bias"), &mixer.decay.gate.dt_bias, gradients);
    let joint = [&heads.query, &heads.key, &heads.value, mixer.gate.as_ref().unwrap()];
    found.grouped(&name("in_proj_qkvz.weight"), 2, &joint, gradients);
    let joint = [heads.beta.as_ref().unwrap(), &mixer.decay.projection];
    found.grouped(&name("in_proj_ba.weight"), 2, &joint, gradients);
    let taps = heads.convolutions.convs.iter().map(|conv| &conv.weight);
    found.stacked(&name("conv1d.weight"), taps, gradients);
}

fn record_attention(
    mixer: &SoftmaxAttention,
    name: &str,
    found: &mut ReferenceGradients,
    gradients: &Gradients,
) {
    let linears = [("q", &mixer.query), ("k", &mixer.key), ("v", &mixer.value), ("o", &mixer.output)];
    for (part, linear) in linears {
        found.linear(&format!("{name}.{part}_proj"), linear, gradients);
    }
    for (part, norm) in [("q", &mixer.query_norm), ("k", &mixer.key_norm)] {
        if let Some(norm) = norm {
            found.parameter(&format!("{name}.{part}_norm.weight"), &norm.gamma, gradients);
        }
    }
}

/// Of experts, which are one tensor in the library.
fn record_experts(
    experts: &MixtureOfExperts,
    name: &str,
    found: &mut ReferenceGradients,
    gradients: &Gradients,
) {
    found.linear(&format!("{name}.gate"), &experts.router.projection, gradients);
    let shared = experts.shared.as_ref().unwrap();
    found.linear(&format!("{name}.shared_expert_gate"), &shared.gate, gradients);
    record_swiglu(&shared.expert, &format!("{name}.shared_expert"), found, gradients);
    let both: Vec<_> = experts.experts.iter().flat_map(|expert| [&expert.gate, &expert.up]).collect();
    found.grouped(&format!("{name}.experts.gate_up_proj"), 1, &both, gradients);
    let down: Vec<_> = experts.experts.iter().map(|expert| &expert.down).collect();
    found.grouped(&format!("{name}.experts.down_proj"), 1, &down, gradients);
}

fn record_qwen3_next(model: &LanguageModel, found: &mut ReferenceGradients, gradients: &Gradients) {
    found.linear("lm_head", model.head.as_ref().unwrap(), gradients);
    found.parameter("model.embed_tokens.weight", &model.embedding.weight, gradients);
    record_norm("model.norm.weight", &model.norm, found, gradients);
    for (index, block) in model.blocks.iter().enumerate() {
        let layer = format!("model.layers.{index}");
        let channels = block.channels.as_ref().unwrap();
        record_norm(&format!("{layer}.input_layernorm.weight"), &block.mixer_norm, found, gradients);
        record_norm(&format!("{layer}.post_attention_layernorm.weight"), &channels.norm, found, gradients);
        match &block.mixer {
            Mixer::GatedDeltaNet(mixer) => record_delta(mixer, &layer, found, gradients),
            Mixer::SoftmaxAttention(mixer) => {
                record_attention(mixer, &format!("{layer}.self_attn"), found, gradients);
            }
            _ => panic!("the published model has no such layer"),
        }
        let name = format!("{layer}.mlp");
        match &channels.feed_forward {
            FeedForward::SwiGlu(swiglu) => record_swiglu(swiglu, &name, found, gradients),
            FeedForward::MixtureOfExperts(experts) => record_experts(experts, &name, found, gradients),
            FeedForward::GeGlu(_) => panic!("the published model has no such feed-forward"),
        }
    }
}

fn record_recurrence(mixer: &RgLru, name: &str, found: &mut ReferenceGradients, gradients: &Gradients) {
    let linears = [("linear_x", &mixer.input), ("linear_y", &mixer.gate), ("linear_out", &mixer.output)];
    for (part, linear) in linears {
        found.linear(&format!("{name}.{part}"), linear, gradients);
    }
    found.parameter(&format!("{name}.conv_1d.weight"), &mixer.conv.weight, gradients);
    found.parameter(&format!("{name}.conv_1d.bias"), mixer.conv.bias.as_ref().unwrap(), gradients);
    let unit = &mixer.unit;
    found.parameter(&format!("{name}.rg_lru.recurrent_param"), &unit.lambda, gradients);
    for (part, gate) in [("input", &unit.input_gate), ("recurrent", &unit.recurrence_gate)] {
        found.parameter(&format!("{name}.rg_lru.{part}_gate_weight"), &gate.weight, gradients);
        found.parameter(&format!("{name}.rg_lru.{part}_gate_bias"), &gate.bias, gradients);
    }
}

fn record_recurrent_gemma(model: &LanguageModel, found: &mut ReferenceGradients, gradients: &Gradients) {
    found.parameter("model.embed_tokens.weight", &model.embedding.weight, gradients);
    record_norm("model.final_norm.weight", &model.norm, found, gradients);
    for (index, block) in model.blocks.iter().enumerate() {
        let layer = format!("model.layers.{index}");
        let channels = block.channels.as_ref().unwrap();
        record_norm(&format!("{layer}.temporal_pre_norm.weight"), &block.mixer_norm, found, gradients);
        record_norm(&format!("{layer}.channel_pre_norm.weight"), &channels.norm, found, gradients);
        let name = format!("{layer}.temporal_block");
        match &block.mixer {
            Mixer::RgLru(mixer) => record_recurrence(mixer, &name, found, gradients),
            Mixer::SoftmaxAttention(mixer) => record_attention(mixer, &name, found, gradients),
            _ => panic!("the published model has no such layer"),
        }
        let FeedForward::GeGlu(geglu) = &channels.feed_forward else {
            panic!("the published model has another feed-forward")
        };
        for (part, linear) in [("gate", &geglu.gate), ("up", &geglu.up), ("down", &geglu.down)] {
            found.linear(&format!("{layer}.mlp_block.{part}_proj"), linear, gradients);
        }
    }
}

#[test]
fn qwen3_next_gives_the_logits_and_gradients_of_the_reference() {
    for folder in ["16_model_qwen3next_linear", "16_model_qwen3next_experts"] {
        check_logits_and_gradients(load(folder, &autodiff()), folder, record_qwen3_next);
    }
}

#[test]
fn recurrent_gemma_gives_the_logits_and_gradients_of_the_reference() {
    let folder = "16_model_recurrent_gemma";
    check_logits_and_gradients(load(folder, &autodiff()), folder, record_recurrent_gemma);
}
