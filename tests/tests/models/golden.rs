//! Rung 6: published-format models give the same logits, loss, gradients and greedy tokens.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData, activation::log_softmax};
use seqzoo::models::{FeedForward, LanguageModel, Norm, Sampling};
use seqzoo::parts::SwiGlu;
use seqzoo::{Mixer, checkpoint};
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double, largest_error, plain};

/// The model in `folder`.
pub fn load(folder: &str, device: &Device) -> LanguageModel {
    checkpoint::read(Golden::path(folder), device).unwrap_or_else(|error| panic!("{error}"))
}

/// Records the gradients of a mixer under the names of flash-linear-attention.
fn record(mixer: &Mixer, found: &mut ReferenceGradients, layer: &str, gradients: &Gradients) {
    let name = |part: &str| format!("{layer}.attn.{part}");
    let linears: Vec<(&str, &Linear)> = match mixer {
        Mixer::GatedLinearAttention(mixer) => {
            found.parameter(&name("g_norm_swish_gate.weight"), &mixer.norm.norm.gamma, gradients);
            vec![
                ("q_proj", &mixer.query),
                ("k_proj", &mixer.key),
                ("v_proj", &mixer.value),
                ("g_proj", mixer.gate.as_ref().unwrap()),
                ("gk_proj.0", &mixer.decay_down),
                ("gk_proj.1", &mixer.decay_up),
                ("o_proj", &mixer.output),
            ]
        }
        Mixer::DeltaNet(mixer) => {
            let heads = &mixer.heads;
            found.parameter(&name("o_norm.weight"), &heads.norm.norm.gamma, gradients);
            for (conv, part) in heads.convolutions.convs.iter().zip(["q", "k", "v"]) {
                found.parameter(&name(&format!("{part}_conv1d.weight")), &conv.weight, gradients);
            }
            vec![
                ("q_proj", &heads.query),
                ("k_proj", &heads.key),
                ("v_proj", &heads.value),
                ("b_proj", heads.beta.as_ref().unwrap()),
                ("o_proj", &heads.output),
            ]
        }
        _ => panic!("no published model has this layer"),
    };
    for (part, linear) in linears {
        found.linear(&name(part), linear, gradients);
    }
}

fn tokens(golden: &Golden, name: &str, rows: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = golden.values(name).iter().map(|id| *id as i64).collect();
    let columns = ids.len() / rows;
    Tensor::from_data(TensorData::new(ids, [rows, columns]), device)
}

/// Compares logits, loss and gradients, which `record` names.
pub fn check_logits_and_gradients(
    model: LanguageModel,
    folder: &str,
    record: impl Fn(&LanguageModel, &mut ReferenceGradients, &Gradients),
) {
    let (device, golden) = (autodiff(), Golden::load(&format!("{folder}/io")));
    let model = double(model);
    let ids = tokens(&golden, "input_ids", 2, &device);
    let (logits, _) = model.forward(ids.clone(), None);
    let values = |x: Tensor<3>| x.into_data().try_to_vec::<f64>().unwrap();
    assert!(largest_error(&values(logits.clone()), golden.values("logits")) < 2e-6);

    let predicted = ids.dims()[1] - 1;
    let targets = ids.narrow(1, 1, predicted).unsqueeze_dim::<3>(2);
    let loss = log_softmax(logits.narrow(1, 0, predicted), 2).gather(2, targets).mean().neg();
    let expected = golden.values("loss")[0];
    assert!((loss.clone().into_scalar::<f64>() - expected).abs() < 2e-6 * expected);

    let gradients = loss.backward();
    let mut found = ReferenceGradients::default();
    record(&model, &mut found, &gradients);
    found.assert_equal(&golden, |_| true, 2e-6);
}

/// Records the gradient of a norm.
pub fn record_norm(name: &str, norm: &Norm, found: &mut ReferenceGradients, gradients: &Gradients) {
    match norm {
        Norm::Rms(norm) => found.parameter(name, &norm.gamma, gradients),
        Norm::Layer(_) => panic!("the published model has no layer norm"),
    }
}

/// Records the gradients of a feed-forward.
pub fn record_swiglu(swiglu: &SwiGlu, name: &str, found: &mut ReferenceGradients, gradients: &Gradients) {
    for (part, linear) in [("gate", &swiglu.gate), ("up", &swiglu.up), ("down", &swiglu.down)] {
        found.linear(&format!("{name}.{part}_proj"), linear, gradients);
    }
}

/// Records the gradients of a model under the names of flash-linear-attention.
fn record_model(model: &LanguageModel, found: &mut ReferenceGradients, gradients: &Gradients) {
    found.linear("lm_head", model.head.as_ref().unwrap(), gradients);
    found.parameter("model.embeddings.weight", &model.embedding.weight, gradients);
    record_norm("model.norm.weight", &model.norm, found, gradients);
    for (index, block) in model.blocks.iter().enumerate() {
        let layer = format!("model.layers.{index}");
        let channels = block.channels.as_ref().unwrap();
        record(&block.mixer, found, &layer, gradients);
        record_norm(&format!("{layer}.attn_norm.weight"), &block.mixer_norm, found, gradients);
        record_norm(&format!("{layer}.mlp_norm.weight"), &channels.norm, found, gradients);
        let FeedForward::SwiGlu(swiglu) = &channels.feed_forward else {
            panic!("the published model has another feed-forward")
        };
        record_swiglu(swiglu, &format!("{layer}.mlp"), found, gradients);
    }
}

/// Compares the tokens that follow the prompt, which is given to the model at once.
pub fn check_greedy_tokens(model: LanguageModel, folder: &str) {
    let golden = Golden::load(&format!("{folder}/io"));
    assert!(model.num_params() > 0);
    let ids = |name: &str| golden.values(name).iter().map(|id| *id as usize).collect::<Vec<_>>();
    let generated: Vec<usize> =
        model.generate(&ids("prompt_ids"), Sampling::Greedy).unwrap().take(24).collect();
    assert_eq!(generated, ids("greedy_ids"));
}

#[test]
fn gated_linear_attention_gives_the_logits_and_gradients_of_the_reference() {
    check_logits_and_gradients(load("16_model_fla_gla", &autodiff()), "16_model_fla_gla", record_model);
}

#[test]
fn delta_net_gives_the_logits_and_gradients_of_the_reference() {
    let folder = "16_model_fla_delta_net";
    check_logits_and_gradients(load(folder, &autodiff()), folder, record_model);
}

#[test]
fn greedy_tokens_equal_the_reference() {
    for folder in ["16_model_fla_gla", "16_model_fla_delta_net"] {
        check_greedy_tokens(load(folder, &plain()), folder);
    }
}
