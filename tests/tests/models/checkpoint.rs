//! A model in a directory.

use super::small::{model, patterns};
use burn::tensor::{Int, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use seqzoo::models::LanguageModel;
use seqzoo::{CheckpointError, MixerConfig};
use seqzoo_tests::{double, plain};

#[test]
fn a_saved_model_gives_the_same_logits() {
    let device = plain();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4]], &device);
    for pattern in patterns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/new/directory");
        let model = model(pattern, &device);
        model.save(&path).unwrap();
        let loaded = LanguageModel::load(&path, &device).unwrap();
        let logits = |model: &LanguageModel| model.forward(tokens.clone(), None).0.into_data();
        assert_eq!(logits(&model), logits(&loaded));
        assert_eq!(loaded.config().to_string(), model.config().to_string());
        loaded.save(&path).unwrap();
    }
}

#[test]
fn a_directory_that_holds_no_model_is_a_clear_error() {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let message = || match LanguageModel::load(path, &device) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    assert!(message().contains("config.json"));

    let mut all = patterns();
    let (hybrid, attention) = (all.pop().unwrap(), all.remove(0));
    model(hybrid, &device).save(path).unwrap();
    let weights = path.join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    assert!(message().contains("model.safetensors"));
    std::fs::remove_file(&weights).unwrap();
    assert!(message().contains("model.safetensors"));

    let other = tempfile::tempdir().unwrap();
    model(attention, &device).save(other.path()).unwrap();
    std::fs::copy(other.path().join("model.safetensors"), &weights).unwrap();
    assert!(message().contains("model.safetensors"));

    let config = path.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("base_conv", "base_convolution")).unwrap();
    assert!(message().contains("there is no such layer; the layers are"));
    std::fs::write(&config, "{").unwrap();
    assert!(message().contains("config.json"));
}

#[test]
fn weights_that_do_not_fit_change_nothing() {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4]], &device);
    let mut all = patterns();
    let (other, mut kept) = (model(all.pop().unwrap(), &device), model(all.remove(0), &device));
    let logits = |model: &LanguageModel| model.forward(tokens.clone(), None).0.into_data();
    let before = logits(&kept);
    for stranger in [other, double(kept.clone())] {
        stranger.save(directory.path()).unwrap();
        assert!(kept.load_weights(directory.path().join("model.safetensors")).is_err());
        assert_eq!(logits(&kept), before);
    }
}

/// A saved model of `pattern`, whose `config.json` is replaced by what `edit` makes of it; the model that is loaded.
fn edited(
    pattern: Vec<MixerConfig>,
    edit: impl FnOnce(String) -> String,
) -> Result<LanguageModel, CheckpointError> {
    let directory = tempfile::tempdir().unwrap();
    model(pattern, &plain()).save(directory.path()).unwrap();
    let path = directory.path().join("config.json");
    std::fs::write(&path, edit(std::fs::read_to_string(&path).unwrap())).unwrap();
    LanguageModel::load(directory.path(), &plain())
}

#[test]
fn fields_of_a_configuration_are_those_of_a_layer() {
    let pattern = || patterns().pop().unwrap();
    let without = |field: &'static str| {
        move |text: String| {
            let lines: Vec<&str> =
                text.lines().filter(|line| !line.contains(&format!("\"{field}\""))).collect();
            lines.join("\n").replace(",\n}", "\n}")
        }
    };
    for field in ["norm_epsilon", "version", "save"] {
        assert!(edited(pattern(), without(field)).is_ok(), "{field}");
    }
    let message = |edit: &dyn Fn(String) -> String| match edited(pattern(), edit) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    let misspelled = message(&|text| text.replacen('{', "{\"tie_embeding\": true,", 1));
    assert!(misspelled.contains("config.json") && misspelled.contains("tie_embeding"), "{misspelled}");
    let twice = message(&|text| text.replacen('{', "{\"d_model\": 16,", 1));
    assert!(twice.contains("given twice"), "{twice}");
    let later = message(&|text| text.replace("\"version\": 1", "\"version\": 2"));
    assert!(later.contains("format version 2"), "{later}");
}

#[test]
fn an_edited_configuration_counts() {
    let edit = |text: String| text.replace("\"norm_epsilon\": 1e-6", "\"norm_epsilon\": 0.25");
    let loaded = edited(patterns().pop().unwrap(), edit).unwrap();
    assert_eq!(loaded.config().norm_epsilon, 0.25);
}

#[test]
fn files_of_two_saves_are_refused_and_the_weights_alone_are_a_model() {
    let device = plain();
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut all = patterns();
    model(all.remove(0), &device).save(directory.path()).unwrap();
    let wanted = model(all.pop().unwrap(), &device);
    wanted.save(other.path()).unwrap();
    let weights = |of: &tempfile::TempDir| of.path().join("model.safetensors");
    std::fs::copy(weights(&other), weights(&directory)).unwrap();
    let error = LanguageModel::load(directory.path(), &device).expect_err("an error").to_string();
    assert!(error.contains("of another save"), "{error}");

    std::fs::remove_file(directory.path().join("config.json")).unwrap();
    let loaded = LanguageModel::load(directory.path(), &device).unwrap();
    assert_eq!(loaded.config().to_string(), wanted.config().to_string());
}

#[test]
fn weights_of_mixed_precision_are_refused() {
    let device = plain();
    for pattern in patterns() {
        let directory = tempfile::tempdir().unwrap();
        model(pattern, &device).save(directory.path()).unwrap();
        let path = directory.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let last = file.names().into_iter().max().unwrap().to_string();
        let views = file.iter().map(|(name, view)| match name == last {
            true => {
                let narrow = &view.data()[..view.data().len() / 2];
                (name, TensorView::new(Dtype::BF16, view.shape().to_vec(), narrow).unwrap())
            }
            false => (name, view),
        });
        std::fs::write(&path, serialize(views, header.metadata().clone()).unwrap()).unwrap();
        let error = LanguageModel::load(directory.path(), &device).expect_err("an error").to_string();
        assert!(error.contains(&last) && error.contains("BF16"), "{error}");
    }
}

#[test]
fn no_model_is_drawn_that_its_weights_do_not_fit() {
    let pattern = || vec![MixerConfig::published("gated_linear_attention", 16).unwrap()];
    // 34 GB, if they were drawn.
    let edit = |text: String| text.replace("\"vocab_size\": 23", "\"vocab_size\": 268435456");
    let error = edited(pattern(), edit).expect_err("an error").to_string();
    assert!(error.contains("parameters"), "{error}");
}
