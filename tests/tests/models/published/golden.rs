//! Rung 6: every golden directory is read by its name alone, computes what its library computed, and is written back.

use super::super::golden::{check_greedy_tokens, load};
use super::assert_same;
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use seqzoo::checkpoint::{self, Architecture};
use seqzoo_tests::{Golden, double, largest_error, plain};
use serde_json::{Map, Value};
use std::path::Path;

const FOLDERS: [(&str, Architecture); 7] = [
    ("16_model_mamba_tiny", Architecture::Mamba),
    ("16_model_mamba2_tiny", Architecture::Mamba2),
    ("16_model_fla_gla", Architecture::Gla),
    ("16_model_fla_delta_net", Architecture::DeltaNet),
    ("16_model_qwen3next_linear", Architecture::Qwen3Next),
    ("16_model_qwen3next_experts", Architecture::Qwen3Next),
    ("16_model_recurrent_gemma", Architecture::RecurrentGemma),
];

fn tokens(golden: &Golden, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = golden.values("input_ids").iter().map(|id| *id as i64).collect();
    let time = ids.len() / 2;
    Tensor::from_data(TensorData::new(ids, [2, time]), device)
}

#[test]
fn logits_and_greedy_tokens_are_those_of_the_library() {
    let device = plain();
    for (folder, architecture) in FOLDERS {
        let description = checkpoint::read_config(Golden::path(folder)).unwrap();
        assert_eq!(description.architecture, architecture);
        let golden = Golden::load(&format!("{folder}/io"));
        let model = load(folder, &device);
        assert_eq!(model.config().to_string(), description.config.to_string());
        let error = |model: &seqzoo::models::LanguageModel| {
            let (logits, _) = model.forward(tokens(&golden, &device), None);
            largest_error(&seqzoo_tests::values(logits), golden.values("logits"))
        };
        let single = error(&model);
        assert!(single < 1e-5, "{folder}: {single:e}");
        let exact = error(&double(model.clone()));
        // The file holds the logits in `f32`.
        assert!(exact < 1e-7, "{folder}: {exact:e}");
        check_greedy_tokens(model, folder);
    }
}

/// The tensors of a file by their names: shape and bytes.
fn tensors(path: &Path) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut found: Vec<_> = file
        .iter()
        .map(|(name, view)| (name.to_string(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    found.sort();
    found
}

fn fields(path: &Path) -> Map<String, Value> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_written_back_is_what_was_published() {
    let device = plain();
    for (folder, architecture) in FOLDERS {
        let (published, directory) = (Golden::path(folder), tempfile::tempdir().unwrap());
        let model = load(folder, &device);
        let path = directory.path().join("new/directory");
        // Twice: the second save replaces a directory.
        for _ in 0..2 {
            checkpoint::write(&model, &path, architecture).unwrap();
            assert_same(&checkpoint::read(&path, &device).unwrap(), &model);
        }
        assert!(tensors(&path.join("model.safetensors")) == tensors(&published.join("model.safetensors")));
        let (written, original) = (fields(&path.join("config.json")), fields(&published.join("config.json")));
        for (name, value) in &written {
            if let Some(wanted) = original.get(name) {
                let equal = value == wanted || value.as_f64().is_some() && value.as_f64() == wanted.as_f64();
                // How long the chunks are in which a kernel computes.
                assert!(equal || name == "chunk_size", "{folder}: `{name}` is {value}, not {wanted}");
            }
        }
    }
}
