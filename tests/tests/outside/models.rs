//! Directories of models.

use crate::documents::{Document, File, spoilt};
use crate::hostile::{Syntax, changed, damaged, random, tensors};
use crate::trial::any_document_is_read_or_refused;
use burn::tensor::{Int, Tensor};
use proptest::prelude::*;
use seqzoo::MixerConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig, Sampling};
use seqzoo::parts::MixtureOfExpertsConfig;
use seqzoo_tests::plain;

pub const VOCABULARY: usize = 11;

/// A model of every kind of layer, and a hybrid.
pub fn small() -> Vec<LanguageModel> {
    let layer = |kind: &str| {
        let options = match kind {
            "gated_delta_net" | "kimi_delta_attention" | "gated_delta_product" | "mixture_of_memories" => {
                serde_json::json!({"num_heads": 2, "head_dim": 4})
            }
            "landmark_attention" => serde_json::json!({"num_heads": 2, "block": 2}),
            "mamba2" => serde_json::json!({"head_dim": 4, "d_state": 3}),
            "hgrn2" => serde_json::json!({"expand_ratio": 4}),
            "s5" => serde_json::json!({"d_state": 4, "blocks": 2}),
            "s4" | "s4d" | "h3" => serde_json::json!({"d_state": 4}),
            "hyena" => serde_json::json!({"max_len": 8, "filter_order": 4}),
            "base_conv" | "gated_conv" | "mamba" | "hgrn" | "lmu" => serde_json::json!({}),
            _ => serde_json::json!({"num_heads": 2}),
        };
        MixerConfig::from_options(kind, 8, options.as_object().unwrap().clone()).unwrap()
    };
    let mut patterns: Vec<_> = MixerConfig::KINDS.iter().map(|kind| vec![layer(kind)]).collect();
    patterns.push(vec![layer("base_conv"), layer("gated_delta_net"), layer("softmax_attention")]);
    let landmarks = LanguageModelConfig::new(VOCABULARY, 8, vec![layer("landmark_attention")])
        .with_channel_mixer(ChannelMixerConfig::None)
        .with_landmark_every(Some(1));
    let feed_forwards = [
        ChannelMixerConfig::None,
        ChannelMixerConfig::SwiGluOf { hidden: 4 },
        ChannelMixerConfig::GeGlu { hidden: 3, bias: true },
        ChannelMixerConfig::MixtureOfExperts(
            MixtureOfExpertsConfig::new(3, 2, 4).with_shared_hidden(Some(2)),
        ),
    ];
    patterns
        .into_iter()
        .zip(feed_forwards.into_iter().cycle())
        .map(|(pattern, feed_forward)| {
            LanguageModelConfig::new(VOCABULARY, 8, pattern).with_channel_mixer(feed_forward).init(&plain())
        })
        .chain([landmarks.init(&plain())])
        .collect()
}

/// The files of a directory, and of those below it.
fn files(directory: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn directories() -> Vec<Document> {
    let saved = |(index, model): (usize, LanguageModel)| {
        let directory = tempfile::tempdir().unwrap();
        model.save(directory.path()).unwrap();
        Document::new(index, files(directory.path()))
    };
    small().into_iter().enumerate().map(saved).collect()
}

fn hostile(file: File, others: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let valid = file.bytes;
    let structured = match serde_json::from_slice(&valid) {
        Ok(tree) => changed(tree, Syntax::Json).boxed(),
        Err(_) => tensors(valid.clone()).boxed(),
    };
    prop_oneof![
        1 => random(),
        3 => damaged(valid, others),
        10 => structured
    ]
}

#[test]
fn any_directory_is_a_model_or_an_error() {
    let device = plain();
    any_document_is_read_or_refused(
        spoilt(directories(), hostile),
        |directory, _| LanguageModel::load(directory, &device).map_err(|error| error.to_string()),
        |model| {
            let (logits, _) = model.forward(Tensor::<2, Int>::zeros([2, 3], &device), None);
            assert_eq!(logits.dims(), [2, 3, model.config().vocab_size]);
            // Weights of NaN give no token, and the generation says so.
            let mut stream = model.generate(&[0], Sampling::Greedy).unwrap();
            assert!(stream.by_ref().take(2).count() == 2 || stream.error().is_some());
            // What was read can be written and read again.
            let directory = tempfile::tempdir().unwrap();
            model.save(directory.path()).unwrap();
            LanguageModel::load(directory.path(), &device).unwrap();
        },
    );
}
