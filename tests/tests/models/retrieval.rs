//! Models that read some of the blocks before a token.

use super::small::{VOCABULARY, config, small};
use burn::tensor::{Int, Tensor};
use seqzoo::MixerConfig;
use seqzoo::layers::{LandmarkStore, RetrievalConfig};
use seqzoo::models::LanguageModel;
use seqzoo_tests::{Inputs, double, largest_error, plain, said, values};

/// Blocks of three tokens and a landmark, in a hybrid.
fn model() -> LanguageModel {
    plain().seed(3);
    let layer =
        |kind: &str| MixerConfig::from_options(kind, 16, small(kind).as_object().unwrap().clone()).unwrap();
    let pattern = vec![layer("landmark_attention"), layer("gated_delta_net"), layer("landmark_attention")];
    double(config(pattern).with_landmark_every(Some(3)).init(&plain()))
}

fn tokens(batch: usize, time: usize) -> Tensor<2, Int> {
    Inputs::new(4, &plain()).between([batch, time], 0.0, VOCABULARY as f64).int()
}

#[test]
fn all_blocks_are_what_training_reads() {
    let (model, tokens) = (model(), tokens(2, 26));
    let (wanted, _) = model.hidden(tokens.clone(), None, None);
    let mut memory = model.init_retrieval(&RetrievalConfig::new(10), 2, &plain()).unwrap();
    let found = model.retrieve(tokens, &mut memory).unwrap();
    assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
    assert_eq!(memory.position(), 26);
    assert_eq!(memory.stores().map(LandmarkStore::blocks).collect::<Vec<_>>(), [8, 8]);
}

#[test]
fn it_does_not_matter_how_tokens_arrive_or_where_blocks_are() {
    let (model, tokens) = (model(), tokens(2, 26));
    let directory = tempfile::tempdir().unwrap();
    let config = RetrievalConfig::new(2);
    let run = |sizes: &[usize], in_files: bool| {
        let mut memory = match in_files {
            true => model.init_retrieval_in(directory.path().join("new"), &config, 2, &plain()).unwrap(),
            false => model.init_retrieval(&config, 2, &plain()).unwrap(),
        };
        let mut from = 0;
        let outputs = sizes.iter().map(|size| {
            from += size;
            model.retrieve(tokens.clone().narrow(1, from - size, *size), &mut memory).unwrap()
        });
        let outputs = Tensor::cat(outputs.collect(), 1);
        (outputs, memory.counts())
    };
    let (whole, counts) = run(&[26], false);
    let (in_files, same) = run(&[26], true);
    assert_eq!(in_files.into_data(), whole.clone().into_data());
    assert_eq!(same, counts);
    for sizes in [vec![1; 26], vec![5, 21], vec![3, 3, 20]] {
        let (found, other) = run(&sizes, false);
        assert!(largest_error(&values(found), &values(whole.clone())) < 1e-12, "{sizes:?}");
        assert_eq!(other.read, counts.read);
    }
    // Some are left.
    let (all, _) = model.hidden(tokens.clone(), None, None);
    assert!(largest_error(&values(whole), &values(all)) > 1e-6);
}

#[test]
fn what_does_not_fit_is_named() {
    let model = model();
    let mut memory = model.init_retrieval(&RetrievalConfig::new(2), 2, &plain()).unwrap();
    let said_of_batch = said(|| model.retrieve(tokens(1, 3), &mut memory));
    assert!(said_of_batch.contains("`tokens` has the shape [1, 3], but [B, T] = [2, 3]"), "{said_of_batch}");
    let refused = |config: RetrievalConfig| match model.init_retrieval(&config, 2, &plain()) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    assert!(refused(RetrievalConfig::new(0)).contains("landmark_attention: top_k is 0"));
}
