//! A model in a directory.

use super::small::{model, patterns};
use burn::tensor::{Int, Tensor};
use seqzoo::models::LanguageModel;
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
