//! Directories of published models.

use crate::allocations::Allocated;
use crate::documents::{Document, File, spoilt};
use crate::hostile::{Syntax, changed, damaged, random, tensors};
use crate::trial::any_document_is_read_or_refused;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use proptest::prelude::*;
use safetensors::{SafeTensors, serialize};
use seqzoo::checkpoint::{self, Architecture};
use seqzoo::layers::MambaConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModelConfig, Sampling};
use seqzoo::parts::ProjectionInit;
use seqzoo_tests::{Golden, plain};
use serde_json::json;

const FOLDERS: [&str; 7] = [
    "16_model_mamba_tiny",
    "16_model_mamba2_tiny",
    "16_model_fla_gla",
    "16_model_fla_delta_net",
    "16_model_qwen3next_linear",
    "16_model_qwen3next_experts",
    "16_model_recurrent_gemma",
];

/// Every golden directory, in one file and in two.
fn directories() -> Vec<Document> {
    let read = |folder: &str, name: &str| std::fs::read(Golden::path(&format!("{folder}/{name}"))).unwrap();
    let mut documents = Vec::new();
    for folder in FOLDERS {
        let (config, weights) = (read(folder, "config.json"), read(folder, "model.safetensors"));
        let whole = [("config.json".into(), config.clone()), ("model.safetensors".into(), weights.clone())];
        documents.push(Document::new(documents.len(), whole));
        documents.push(Document::new(documents.len(), divided(config, &weights)));
    }
    documents
}

fn divided(config: Vec<u8>, weights: &[u8]) -> Vec<(String, Vec<u8>)> {
    let file = SafeTensors::deserialize(weights).unwrap();
    let (first, second): (Vec<_>, Vec<_>) = file.iter().partition(|(name, _)| name.contains(".0."));
    let mut map = serde_json::Map::new();
    let mut files = vec![("config.json".to_string(), config)];
    for (name, tensors) in [("a.safetensors", first), ("b.safetensors", second)] {
        map.extend(tensors.iter().map(|(tensor, _)| (tensor.to_string(), json!(name))));
        files.push((name.into(), serialize(tensors, None).unwrap()));
    }
    files.push(("model.safetensors.index.json".into(), json!({"weight_map": map}).to_string().into_bytes()));
    files
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
fn any_published_directory_is_a_model_or_an_error() {
    let device = plain();
    any_document_is_read_or_refused(
        spoilt(directories(), hostile),
        |directory, _| {
            let model = checkpoint::read(directory, &device).map_err(|error| error.to_string())?;
            let description = checkpoint::read_config(directory).map_err(|error| error.to_string())?;
            Ok((model, description))
        },
        |(model, description)| {
            let (logits, _) = model.forward(Tensor::<2, Int>::zeros([2, 3], &device), None);
            assert_eq!(logits.dims(), [2, 3, model.config().vocab_size]);
            let mut stream = model.generate(&[0], Sampling::Greedy).unwrap();
            assert!(stream.by_ref().take(2).count() == 2 || stream.error().is_some());
            // What was read can be written and read again.
            let directory = tempfile::tempdir().unwrap();
            checkpoint::write(&model, directory.path(), description.architecture).unwrap();
            let again = checkpoint::read(directory.path(), &device).unwrap();
            assert_eq!(again.config().to_string(), model.config().to_string());
        },
    );
}

#[test]
fn reading_holds_the_weights_once() {
    let device = plain();
    let layer = MambaConfig::new(256).with_initializer(ProjectionInit::Uniform);
    let config = LanguageModelConfig::new(2000, 256, vec![layer.into()])
        .with_num_layers(Some(6))
        .with_channel_mixer(ChannelMixerConfig::None);
    let directory = tempfile::tempdir().unwrap();
    let model = config.init(&device);
    let weights = model.num_params() * 4;
    checkpoint::write(&model, directory.path(), Architecture::Mamba).unwrap();
    drop(model);
    let before = Allocated::reset();
    let model = checkpoint::read(directory.path(), &device).unwrap();
    let Allocated { largest, peak } = Allocated::since(before);
    assert_eq!(model.num_params() * 4, weights);
    // The largest tensor is the embedding.
    let embedding = 2000 * 256 * 4;
    assert!(largest <= embedding + 4096, "{largest} bytes at once");
    assert!(peak < weights + 2 * embedding, "{peak} bytes for {weights} of weights");
}
