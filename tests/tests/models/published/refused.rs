//! Directories that hold no model: one sentence each, which names what is wrong.

use super::directories::{change, copy, divide, edit};
use safetensors::Dtype;
use seqzoo::checkpoint::read;
use seqzoo::models::LanguageModel;
use seqzoo_tests::plain;
use serde_json::json;
use std::path::Path;

#[track_caller]
fn refused(directory: &Path, words: &[&str]) {
    let said = match read(directory, &plain()) {
        Ok(_) => panic!("an error was expected: {words:?}"),
        Err(error) => error.to_string(),
    };
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

#[test]
fn tensors_that_are_not_those_of_the_model() {
    let name = "backbone.layers.1.mixer.in_proj.weight";
    let directory = copy("16_model_mamba_tiny");
    change(directory.path(), |tensors| tensors.retain(|(found, ..)| found != name));
    refused(
        directory.path(),
        &["model.safetensors", &format!("it lacks the tensor `{name}` of the shape [128, 32]")],
    );

    let directory = copy("16_model_mamba_tiny");
    change(directory.path(), |tensors| {
        let tensor = tensors.iter_mut().find(|(found, ..)| found == name).unwrap();
        tensor.2.reverse();
    });
    refused(
        directory.path(),
        &[&format!("the tensor `{name}` has the shape [32, 128], but [128, 32] is wanted")],
    );

    let directory = copy("16_model_mamba_tiny");
    change(directory.path(), |tensors| {
        let tensor = tensors.iter_mut().find(|(found, ..)| found == name).unwrap();
        tensor.1 = Dtype::I32;
    });
    refused(directory.path(), &[&format!("the tensor `{name}` is I32, but F32, F16, BF16 or F64 is wanted")]);

    let directory = copy("16_model_mamba_tiny");
    change(directory.path(), |tensors| {
        tensors.push(("backbone.layers.2.norm.weight".into(), Dtype::F32, vec![1], vec![0; 4]));
    });
    refused(
        directory.path(),
        &["it holds the tensor `backbone.layers.2.norm.weight`, for which the model has no parameter"],
    );
    // A head of its own is one too many where the model says that it has none.
    let directory = copy("16_model_mamba2_tiny");
    edit(directory.path(), |fields| {
        fields.insert("tie_word_embeddings".into(), json!(true));
    });
    refused(directory.path(), &["the tensor `lm_head.weight` differs from `backbone.embeddings.weight`"]);
    let directory = copy("16_model_mamba_tiny");
    edit(directory.path(), |fields| {
        fields.insert("tie_word_embeddings".into(), json!(false));
    });
    refused(directory.path(), &["it lacks the tensor `lm_head.weight` of the shape [64, 32]"]);
}

#[test]
fn files_that_are_cut_short_or_missing() {
    let directory = copy("16_model_fla_gla");
    let weights = directory.path().join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    for length in [0, 7, 8, 100, whole.len() - 1] {
        std::fs::write(&weights, &whole[..length]).unwrap();
        refused(directory.path(), &["model.safetensors"]);
    }
    std::fs::write(&weights, [whole.as_slice(), &[0]].concat()).unwrap();
    refused(directory.path(), &["model.safetensors"]);
    std::fs::remove_file(&weights).unwrap();
    refused(directory.path(), &["it holds neither model.safetensors nor model.safetensors.index.json"]);
    std::fs::create_dir(&weights).unwrap();
    refused(directory.path(), &["model.safetensors", "it is no regular file"]);

    let directory = copy("16_model_fla_gla");
    let config = directory.path().join("config.json");
    for text in ["", "{", "null", "{\"model_type\": \"gla\", \"model_type\": \"gla\"}"] {
        std::fs::write(&config, text).unwrap();
        refused(directory.path(), &["config.json"]);
    }
    std::fs::remove_file(&config).unwrap();
    refused(directory.path(), &["config.json"]);
}

#[test]
fn an_index_that_does_not_fit_its_files() {
    let name = "model.safetensors.index.json";
    let second = "model-00002-of-00002.safetensors";
    let directory = copy("16_model_mamba_tiny");
    divide(directory.path(), |_| {});
    std::fs::remove_file(directory.path().join(second)).unwrap();
    refused(directory.path(), &[second]);

    for file in ["../secret.safetensors", "/etc/passwd", "a/b", "..", ""] {
        let directory = copy("16_model_mamba_tiny");
        divide(directory.path(), |map| map["backbone.norm_f.weight"] = json!(file));
        refused(
            directory.path(),
            &[name, &format!("it names the file `{file}`, which is not in this directory")],
        );
    }

    let directory = copy("16_model_mamba_tiny");
    divide(directory.path(), |map| {
        map.insert("another.tensor".into(), json!(second));
    });
    refused(directory.path(), &[second, "it lacks the tensor `another.tensor`"]);

    let directory = copy("16_model_mamba_tiny");
    divide(directory.path(), |map| map["backbone.norm_f.weight"] = json!(3));
    refused(directory.path(), &[name, "`weight_map` says that `backbone.norm_f.weight` is in 3"]);

    let directory = copy("16_model_mamba_tiny");
    divide(directory.path(), |_| {});
    let files = ["model-00001-of-00002.safetensors", second].map(|file| directory.path().join(file));
    std::fs::copy(&files[0], &files[1]).unwrap();
    refused(directory.path(), &["which is in", "as well"]);
}

#[test]
fn sizes_that_the_weights_do_not_have() {
    for (name, value) in [
        ("num_hidden_layers", json!(16_000)),
        ("vocab_size", json!(u64::MAX)),
        ("vocab_size", json!(1u64 << 40)),
        ("hidden_size", json!(1u64 << 60)),
        ("hidden_size", json!(0)),
        ("state_size", json!(1u64 << 50)),
        ("conv_kernel", json!(1u64 << 50)),
        ("expand", json!(1e300)),
        ("time_step_rank", json!(1u64 << 50)),
    ] {
        let directory = copy("16_model_mamba_tiny");
        edit(directory.path(), |fields| {
            fields.insert(name.into(), value.clone());
            fields.remove("intermediate_size");
        });
        refused(directory.path(), &[]);
    }
}

#[test]
fn a_pickled_model_is_refused_with_the_command_that_converts_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("pytorch_model.bin"), "PK").unwrap();
    let config = directory.path().join("config.json");
    std::fs::write(&config, r#"{"d_model": 768, "n_layer": 24, "ssm_cfg": {}}"#).unwrap();
    let first = "python -m transformers.models.mamba.convert_mamba_ssm_checkpoint_to_pytorch -i ";
    refused(directory.path(), &["pytorch_model.bin", first, "config.json -o converted"]);
    std::fs::write(&config, r#"{"d_model": 768, "n_layer": 24, "ssm_cfg": {"layer": "Mamba2"}}"#).unwrap();
    refused(
        directory.path(),
        &["python -m transformers.models.mamba2.convert_mamba2_ssm_checkpoint_to_pytorch -i "],
    );
    std::fs::write(&config, r#"{"model_type": "mamba"}"#).unwrap();
    refused(directory.path(), &["AutoModelForCausalLM.from_pretrained("]);
}

#[test]
fn each_of_the_two_formats_is_told_from_the_other() {
    let device = plain();
    let published = copy("16_model_mamba_tiny");
    let said = LanguageModel::load(published.path(), &device).unwrap_err().to_string();
    assert!(
        said.contains("of the published architecture \"mamba\"; `checkpoint::read` reads those"),
        "{said}"
    );
    let own = tempfile::tempdir().unwrap();
    read(published.path(), &device).unwrap().save(own.path()).unwrap();
    refused(own.path(), &["the format of this library's own, which `LanguageModel::load` reads"]);
}
