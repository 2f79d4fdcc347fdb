//! A training that is resumed goes on to the same bits.

use super::kinds::{Training, fresh, learn, optimizer, said_by_training, small};
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use seqzoo::WeightDecay;
use seqzoo::models::LanguageModel;

fn device() -> Device {
    Device::flex().autodiff()
}

#[test]
fn to_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("a/new/directory");
    let straight = (0..6).fold(fresh(), |training, _| learn(training));

    let mut training = fresh();
    for _ in 0..6 {
        training.save(&place).unwrap();
        training = Training::load(&place, small(&device()), optimizer).unwrap().unwrap();
        training = learn(training);
    }
    assert_eq!(said_by_training(&training), said_by_training(&straight));
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
}

#[test]
fn saving_twice_does_not_grow_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let size = || std::fs::metadata(directory.path().join("training.safetensors")).unwrap().len();
    let training = learn(fresh());
    training.save(directory.path()).unwrap();
    let first = size();
    let loaded = Training::load(directory.path(), small(&device()), optimizer).unwrap().unwrap();
    learn(loaded).save(directory.path()).unwrap();
    // The moments of every parameter again would be two thirds of it; room between tensors varies.
    assert!(size().abs_diff(first) < first / 50, "{first} and {}", size());
}

#[test]
fn with_groups_of_parameters() {
    let grouped = |model: &LanguageModel| {
        let adam = AdamWConfig::new();
        let undecayed = adam.clone().with_weight_decay(0.0).build();
        let decay = adam.with_weight_decay(0.5).init();
        decay.with_group(WeightDecay::of(model).undecayed(), undecayed, None)
    };
    let start = || {
        let fresh = fresh();
        Training { optimizer: grouped(&fresh.model), ..fresh }
    };
    let directory = tempfile::tempdir().unwrap();
    learn(start()).save(directory.path()).unwrap();
    let resumed = Training::load(directory.path(), small(&device()), grouped).unwrap().unwrap();
    assert_eq!(said_by_training(&resumed), said_by_training(&learn(start())));
}

#[test]
fn nothing_saved_is_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for place in [directory.path().to_path_buf(), directory.path().join("missing")] {
        assert!(Training::load(place, small(&device()), optimizer).unwrap().is_none());
    }
}

#[test]
fn what_is_not_as_it_was_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    learn(fresh()).save(directory.path()).unwrap();
    let path = directory.path().join("training.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let refusal = || {
        let loaded = Training::load(directory.path(), small(&device()), optimizer);
        loaded.err().expect("an error").to_string()
    };
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(refusal().contains("training.safetensors"));
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(refusal().contains("training.safetensors"));
    }
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    learn(fresh()).save(directory.path()).unwrap();
    let other = super::kinds::model(1);
    let loaded = Training::load(directory.path(), other, optimizer);
    assert!(loaded.err().expect("an error").to_string().contains("training.safetensors"));
}
