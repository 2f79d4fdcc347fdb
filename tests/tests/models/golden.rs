//! Rung 6: a published-format model gives the same logits, loss, gradients and greedy tokens.

use burn::module::Module;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use seqzoo::layers::GatedLinearAttentionConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig, Norm, Sampling};
use seqzoo::{Mixer, MixerConfig};
use seqzoo_tests::{Golden, ReferenceGradients, autodiff, double, largest_error, plain};

/// The tiny GLA model of flash-linear-attention, loaded from its own file.
fn model(device: &Device) -> LanguageModel {
    let layer = GatedLinearAttentionConfig::new(24).with_num_heads(2).with_norm_epsilon(1e-6);
    let mut model = LanguageModelConfig::new(48, 24, vec![MixerConfig::GatedLinearAttention(layer)])
        .with_num_layers(Some(2))
        .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 32 })
        .init(device);
    let names = [
        (r"^model\.embeddings", "embedding"),
        (r"^model\.norm\.weight", "norm.Rms.gamma"),
        (r"^lm_head", "head"),
        (r"^model\.layers\.(\d+)\.attn_norm\.weight", "blocks.$1.mixer_norm.Rms.gamma"),
        (r"^model\.layers\.(\d+)\.mlp_norm\.weight", "blocks.$1.channels.norm.Rms.gamma"),
        (r"^model\.layers\.(\d+)\.mlp\.(\w+)_proj", "blocks.$1.channels.swiglu.$2"),
        (r"^model\.layers\.(\d+)\.attn\.g_norm_swish_gate\.weight", "blocks.$1.attn.norm.norm.gamma"),
        (r"\.attn\.gk_proj\.0\.", ".attn.decay_down."),
        (r"\.attn\.gk_proj\.1\.", ".attn.decay_up."),
        (r"\.attn\.q_proj", ".attn.query"),
        (r"\.attn\.k_proj", ".attn.key"),
        (r"\.attn\.v_proj", ".attn.value"),
        (r"\.attn\.g_proj", ".attn.gate"),
        (r"\.attn\.o_proj", ".attn.output"),
        (r"^(model\.layers|blocks)\.(\d+)\.attn\.", "blocks.$2.mixer.GatedLinearAttention."),
    ];
    let path = Golden::path("16_model_fla_gla/model.safetensors");
    let mut store = SafetensorsStore::from_file(path).with_from_adapter(PyTorchToBurnAdapter);
    for (from, to) in names {
        store = store.with_key_remapping(from, to);
    }
    let result = model.load_from(&mut store).unwrap();
    assert!(result.missing.is_empty() && result.unused.is_empty(), "{result}");
    model
}

fn tokens(golden: &Golden, name: &str, rows: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = golden.values(name).iter().map(|id| *id as i64).collect();
    let columns = ids.len() / rows;
    Tensor::from_data(TensorData::new(ids, [rows, columns]), device)
}

#[test]
fn logits_and_gradients_equal_the_reference() {
    let (device, golden) = (autodiff(), Golden::load("16_model_fla_gla/io"));
    let model = double(model(&device));
    let ids = tokens(&golden, "input_ids", 2, &device);
    let (logits, _) = model.forward(ids.clone(), None);
    let values = |x: Tensor<3>| x.into_data().try_to_vec::<f64>().unwrap();
    assert!(largest_error(&values(logits.clone()), golden.values("logits")) < 2e-6);

    let targets = ids.narrow(1, 1, 21).unsqueeze_dim::<3>(2);
    let loss = log_softmax(logits.narrow(1, 0, 21), 2).gather(2, targets).mean().neg();
    let expected = golden.values("loss")[0];
    assert!((loss.clone().into_scalar::<f64>() - expected).abs() < 2e-6 * expected);

    let gradients = loss.backward();
    let mut found = ReferenceGradients::default();
    found.linear("lm_head", model.head.as_ref().unwrap(), &gradients);
    found.parameter("model.embeddings.weight", &model.embedding.weight, &gradients);
    let norm = |name: &str, norm: &Norm, found: &mut ReferenceGradients| match norm {
        Norm::Rms(norm) => found.parameter(name, &norm.gamma, &gradients),
        Norm::Layer(_) => panic!("the published model has no layer norm"),
    };
    norm("model.norm.weight", &model.norm, &mut found);
    for (index, block) in model.blocks.iter().enumerate() {
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let (Mixer::GatedLinearAttention(mixer), Some(channels)) = (&block.mixer, &block.channels) else {
            panic!("the published model has other blocks")
        };
        norm(&name("attn_norm.weight"), &block.mixer_norm, &mut found);
        norm(&name("mlp_norm.weight"), &channels.norm, &mut found);
        found.parameter(&name("attn.g_norm_swish_gate.weight"), &mixer.norm.norm.gamma, &gradients);
        for (part, linear) in [
            ("attn.q_proj", &mixer.query),
            ("attn.k_proj", &mixer.key),
            ("attn.v_proj", &mixer.value),
            ("attn.g_proj", mixer.gate.as_ref().unwrap()),
            ("attn.gk_proj.0", &mixer.decay_down),
            ("attn.gk_proj.1", &mixer.decay_up),
            ("attn.o_proj", &mixer.output),
            ("mlp.gate_proj", &channels.swiglu.gate),
            ("mlp.up_proj", &channels.swiglu.up),
            ("mlp.down_proj", &channels.swiglu.down),
        ] {
            found.linear(&name(part), linear, &gradients);
        }
    }
    found.assert_equal(&golden, |_| true, 2e-6);
}

#[test]
fn greedy_tokens_equal_the_reference() {
    let (device, golden) = (plain(), Golden::load("16_model_fla_gla/io"));
    let model = model(&device);
    assert!(model.num_params() > 0);
    let ids = |name: &str| golden.values(name).iter().map(|id| *id as usize).collect::<Vec<_>>();
    let generated: Vec<usize> =
        model.generate(&ids("prompt_ids"), Sampling::Greedy).unwrap().take(24).collect();
    assert_eq!(generated, ids("greedy_ids"));
}
