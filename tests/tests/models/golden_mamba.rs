//! Rung 6: published Mamba and Mamba-2 models give the same logits, loss, gradients and greedy tokens.

use super::golden::{check_greedy_tokens, check_logits_and_gradients, load, record_norm};
use burn::tensor::{Device, Gradients, Int, Tensor};
use seqzoo::Mixer;
use seqzoo::models::LanguageModel;
use seqzoo::parts::ShortConv;
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, plain};

/// Records the gradients of a model under the names of transformers.
fn record(model: &LanguageModel, found: &mut ReferenceGradients, gradients: &Gradients) {
    if let Some(head) = &model.head {
        found.linear("lm_head", head, gradients);
    }
    found.parameter("backbone.embeddings.weight", &model.embedding.weight, gradients);
    record_norm("backbone.norm_f.weight", &model.norm, found, gradients);
    for (index, block) in model.blocks.iter().enumerate() {
        let layer = format!("backbone.layers.{index}");
        let name = |part: &str| format!("{layer}.mixer.{part}");
        record_norm(&format!("{layer}.norm.weight"), &block.mixer_norm, found, gradients);
        let conv = |conv: &ShortConv, found: &mut ReferenceGradients| {
            found.parameter(&name("conv1d.weight"), &conv.weight, gradients);
            found.parameter(&name("conv1d.bias"), conv.bias.as_ref().unwrap(), gradients);
        };
        match &block.mixer {
            Mixer::Mamba(mixer) => {
                conv(&mixer.conv, found);
                found.linear(&name("in_proj"), &mixer.input, gradients);
                found.linear(&name("x_proj"), &mixer.selection, gradients);
                found.linear(&name("dt_proj"), &mixer.dt, gradients);
                found.linear(&name("out_proj"), &mixer.output, gradients);
                found.parameter(&name("A_log"), &mixer.a_log, gradients);
                found.parameter(&name("D"), &mixer.d, gradients);
            }
            Mixer::Mamba2(mixer) => {
                conv(&mixer.conv, found);
                found.linear(&name("in_proj"), &mixer.input, gradients);
                found.linear(&name("out_proj"), &mixer.output, gradients);
                found.parameter(&name("A_log"), &mixer.a_log, gradients);
                found.parameter(&name("D"), &mixer.d, gradients);
                found.parameter(&name("dt_bias"), &mixer.dt_bias, gradients);
                found.parameter(&name("norm.weight"), &mixer.norm.as_ref().unwrap().gamma, gradients);
            }
            _ => panic!("no published model has this layer"),
        }
    }
}

/// The tokens that follow the prompt, where every token is given to the model by itself.
fn token_by_token(model: &LanguageModel, prompt: &[i64], count: usize, device: &Device) -> Vec<i64> {
    let (mut tokens, mut state) = (prompt.to_vec(), None);
    for t in 0..prompt.len() + count - 1 {
        let token = Tensor::<2, Int>::from_ints([[tokens[t]]], device);
        let (logits, next) = model.forward(token, state);
        state = Some(next);
        if t + 1 == tokens.len() {
            tokens.push(logits.argmax(2).into_scalar::<i64>());
        }
    }
    tokens.split_off(prompt.len())
}

fn check_tokens(model: LanguageModel, folder: &str) {
    let golden = Golden::load(&format!("{folder}/io"));
    let ids = |name: &str| golden.values(name).iter().map(|id| *id as i64).collect::<Vec<_>>();
    assert_eq!(token_by_token(&model, &ids("prompt_ids"), 24, &plain()), ids("greedy_ids"));
    check_greedy_tokens(model, folder);
}

#[test]
fn mamba_gives_the_logits_and_gradients_of_the_reference() {
    check_logits_and_gradients(load("16_model_mamba_tiny", &autodiff()), "16_model_mamba_tiny", record);
}

#[test]
fn mamba2_gives_the_logits_and_gradients_of_the_reference() {
    check_logits_and_gradients(load("16_model_mamba2_tiny", &autodiff()), "16_model_mamba2_tiny", record);
}

#[test]
fn greedy_tokens_equal_the_reference() {
    for folder in ["16_model_mamba_tiny", "16_model_mamba2_tiny"] {
        check_tokens(load(folder, &plain()), folder);
    }
}
