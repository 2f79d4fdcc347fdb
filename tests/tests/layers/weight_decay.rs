//! Which parameters take weight decay, for every layer.

use super::zoo::variants;
use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use seqzoo::layers::*;
use seqzoo::models::LanguageModelConfig;
use seqzoo::parts::RmsNorm;
use seqzoo::{MixerConfig, Undecayed, WeightDecay};
use seqzoo_tests::plain;
use std::collections::BTreeSet;

/// The names of all parameters of the variants of `kind`, those of several convolutions or maps as one.
fn names(kind: &str, pick: impl Fn(&WeightDecay) -> Vec<String>) -> String {
    let device = plain();
    let mut all = BTreeSet::new();
    for (_, config) in variants().into_iter().filter(|(_, config)| config.kind() == kind) {
        let layer = config.try_init(&device).unwrap();
        for name in pick(&WeightDecay::of(&layer)) {
            let name = name.split_once('.').unwrap().1;
            let parts: Vec<&str> =
                name.split('.').map(|part| if part.parse::<usize>().is_ok() { "_" } else { part }).collect();
            all.insert(parts.join("."));
        }
    }
    all.into_iter().collect::<Vec<_>>().join(" ")
}

/// `kind | decayed | undecayed` for every layer of the zoo.
#[test]
fn every_layer_leaves_norms_biases_and_time_scales_alone() {
    let table: String = MixerConfig::KINDS
        .iter()
        .map(|kind| {
            let decayed = names(kind, |groups| groups.decayed_names().map(String::from).collect());
            let undecayed = names(kind, |groups| groups.undecayed_names().map(String::from).collect());
            format!("{kind}\n  decayed: {decayed}\n  undecayed: {undecayed}\n")
        })
        .collect();
    insta::assert_snapshot!(table);
}

#[test]
fn a_whole_model_is_divided_without_rest() {
    let device = plain();
    let layer = GatedDeltaNetConfig::new(8).with_num_heads(2).with_head_dim(2);
    let model = LanguageModelConfig::new(5, 8, vec![layer.into()]).init(&device);
    let groups = WeightDecay::of(&model);
    let names: BTreeSet<&str> = groups.decayed_names().chain(groups.undecayed_names()).collect();
    let count = groups.decayed_names().count() + groups.undecayed_names().count();
    assert_eq!(names.len(), count, "a parameter is in one group only");
    assert_eq!(count, burn::module::list_param_ids(&model).len());
    let undecayed: Vec<&str> = groups.undecayed_names().collect();
    assert_eq!(
        undecayed,
        [
            "blocks.0.mixer_norm.Rms.gamma",
            "blocks.0.mixer.GatedDeltaNet.heads.norm.norm.gamma",
            "blocks.0.mixer.GatedDeltaNet.decay.gate.a_log",
            "blocks.0.mixer.GatedDeltaNet.decay.gate.dt_bias",
            "blocks.0.channels.norm.Rms.gamma",
            "norm.Rms.gamma",
        ]
    );
    for id in burn::module::list_param_ids(&model) {
        assert!(groups.decayed().matches(&id, None) != groups.undecayed().matches(&id, None));
    }
}

/// A module of a user's own.
#[derive(Module, Debug)]
struct Own {
    embedding: Embedding,
    linear: Linear,
    rms: RmsNorm,
    layer: LayerNorm,
    head_norm: HeadNorm,
    a_log: Undecayed<2>,
    taps: Param<Tensor<2>>,
}

/// A norm with a scale of two axes.
#[derive(Module, Debug)]
struct HeadNorm {
    gamma: Param<Tensor<2>>,
}

fn matrix(device: &Device) -> Param<Tensor<2>> {
    burn::nn::Initializer::Ones.init([3, 4], device)
}

#[test]
fn modules_of_burn_and_of_ones_own_are_divided_too() {
    let device = plain();
    let own = Own {
        embedding: EmbeddingConfig::new(5, 4).init(&device),
        linear: LinearConfig::new(4, 4).init(&device),
        rms: RmsNorm::new(4, 1e-5, &device),
        layer: LayerNormConfig::new(4).init(&device),
        head_norm: HeadNorm { gamma: matrix(&device) },
        a_log: matrix(&device).into(),
        taps: matrix(&device),
    };
    let groups = WeightDecay::of(&own);
    assert_eq!(groups.decayed_names().collect::<Vec<_>>(), ["embedding.weight", "linear.weight", "taps"]);
    let undecayed: Vec<&str> = groups.undecayed_names().collect();
    assert_eq!(
        undecayed,
        ["linear.bias", "rms.gamma", "layer.gamma", "layer.beta", "head_norm.gamma", "a_log"]
    );
}

#[test]
fn an_undecayed_parameter_is_a_parameter_in_all_else() {
    let device = plain();
    let own = Own {
        embedding: EmbeddingConfig::new(5, 4).init(&device),
        linear: LinearConfig::new(4, 4).init(&device),
        rms: RmsNorm::new(4, 1e-5, &device),
        layer: LayerNormConfig::new(4).init(&device),
        head_norm: HeadNorm { gamma: matrix(&device) },
        a_log: matrix(&device).into(),
        taps: matrix(&device),
    };
    assert_eq!(own.num_params(), 20 + 20 + 4 + 8 + 12 + 12 + 12);
    let mut other = own.clone();
    other.a_log = Param::from_tensor(own.a_log.val() * 3.0).into();
    let loaded = own.load_record(other.into_record());
    assert_eq!(loaded.a_log.val().into_data(), Tensor::<2>::full([3, 4], 3.0, &device).into_data());
    assert!(loaded.to_string().contains("a_log"));
}
