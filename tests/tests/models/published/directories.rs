//! How the files of a directory may be divided, and which of them count.

use super::super::golden::load;
use super::assert_same;
use safetensors::{Dtype, SafeTensors, serialize_to_file, tensor::TensorView};
use seqzoo::checkpoint::{self, Architecture};
use seqzoo_tests::{Golden, plain};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Copies the golden directory `folder`.
pub fn copy(folder: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(Golden::path(&format!("{folder}/{name}")), directory.path().join(name)).unwrap();
    }
    directory
}

/// Changes `config.json`.
pub fn edit(directory: &Path, change: impl FnOnce(&mut Map<String, Value>)) {
    let path = directory.join("config.json");
    let mut fields = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut fields);
    std::fs::write(&path, serde_json::to_string_pretty(&fields).unwrap()).unwrap();
}

/// A tensor as a file has it.
pub type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

/// Changes the tensors of `model.safetensors`.
pub fn change(directory: &Path, change: impl FnOnce(&mut Vec<Stored>)) {
    let path = directory.join("model.safetensors");
    let mut tensors = stored(&path);
    change(&mut tensors);
    store(&path, &tensors);
}

fn stored(path: &Path) -> Vec<Stored> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        (name.to_string(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
    };
    let mut tensors: Vec<Stored> = file.iter().map(tensor).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

fn store(path: &Path, tensors: &[Stored]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, path).unwrap();
}

/// Divides the weights into two files with an index, which `change` may change.
pub fn divide(directory: &Path, change: impl FnOnce(&mut Map<String, Value>)) {
    let path = directory.join("model.safetensors");
    let tensors = stored(&path);
    std::fs::remove_file(&path).unwrap();
    let mut map = Map::new();
    let halves = tensors.split_at(tensors.len() / 2);
    for (number, half) in [halves.0, halves.1].into_iter().enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", number + 1);
        store(&directory.join(&name), half);
        map.extend(half.iter().map(|(tensor, ..)| (tensor.clone(), json!(name))));
    }
    change(&mut map);
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    std::fs::write(directory.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn several_files_with_an_index_are_one_model() {
    let device = plain();
    for folder in ["16_model_mamba2_tiny", "16_model_fla_gla"] {
        let directory = copy(folder);
        divide(directory.path(), |_| {});
        assert_same(&checkpoint::read(directory.path(), &device).unwrap(), &load(folder, &device));
    }
}

#[test]
fn a_tied_head_may_be_there_if_it_is_the_embedding() {
    let device = plain();
    let (folder, directory) = ("16_model_mamba_tiny", copy("16_model_mamba_tiny"));
    let embedding = |tensors: &[Stored]| {
        tensors.iter().find(|(name, ..)| name == "backbone.embeddings.weight").unwrap().clone()
    };
    change(directory.path(), |tensors| {
        let (_, dtype, shape, bytes) = embedding(tensors);
        tensors.push(("lm_head.weight".into(), dtype, shape, bytes));
    });
    assert_same(&checkpoint::read(directory.path(), &device).unwrap(), &load(folder, &device));

    change(directory.path(), |tensors| tensors.last_mut().unwrap().3[0] ^= 1);
    let error = checkpoint::read(directory.path(), &device).unwrap_err().to_string();
    assert!(
        error.contains("the tensor `lm_head.weight` differs from `backbone.embeddings.weight`"),
        "{error}"
    );
}

#[test]
fn a_tensor_may_have_another_name_that_its_library_knows() {
    let device = plain();
    for (folder, name, other) in [
        ("16_model_fla_gla", "g_norm_swish_gate", "g_norm"),
        ("16_model_mamba2_tiny", "backbone.embeddings", "backbone.embedding"),
    ] {
        let directory = copy(folder);
        change(directory.path(), |tensors| {
            for (found, ..) in tensors.iter_mut() {
                *found = found.replace(name, other);
            }
        });
        assert_same(&checkpoint::read(directory.path(), &device).unwrap(), &load(folder, &device));
    }
}

#[test]
fn the_weights_say_what_they_are_until_config_json_is_in_place() {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let (path, config) = (directory.path(), directory.path().join("config.json"));
    let (first, second) = (load("16_model_fla_gla", &device), load("16_model_mamba2_tiny", &device));
    checkpoint::write(&first, path, Architecture::Gla).unwrap();
    let before = std::fs::read(&config).unwrap();
    checkpoint::write(&second, path, Architecture::Mamba2).unwrap();
    let after = std::fs::read(&config).unwrap();
    // A save that was interrupted between its two files.
    std::fs::write(&config, &before).unwrap();
    assert_same(&checkpoint::read(path, &device).unwrap(), &second);
    assert_eq!(checkpoint::read_config(path).unwrap().architecture, Architecture::Mamba2);
    std::fs::remove_file(&config).unwrap();
    assert_same(&checkpoint::read(path, &device).unwrap(), &second);
    // What was changed by hand counts.
    std::fs::write(&config, &after).unwrap();
    edit(path, |fields| {
        fields.insert("layer_norm_epsilon".into(), json!(0.125));
    });
    assert_eq!(checkpoint::read(path, &device).unwrap().config().norm_epsilon, 0.125);
}
