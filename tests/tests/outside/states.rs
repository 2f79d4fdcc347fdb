//! State files, of every layer and of a whole model.

use crate::documents::{Document, spoilt};
use crate::hostile::{damaged, random, tensors};
use crate::models::small;
use crate::trial::any_document_is_read_or_refused;
use burn::tensor::{Int, Tensor};
use proptest::prelude::*;
use seqzoo::MixerState;
use seqzoo::models::LanguageModel;
use seqzoo_tests::plain;

const FILE: &str = "stream.state";

/// A model of every kind of layer, and a state file of each.
fn models_and_states() -> (Vec<LanguageModel>, Vec<Document>) {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let models = small();
    let state = |(index, model): (usize, &LanguageModel)| {
        let (_, state) = model.forward(Tensor::<2, Int>::from_ints([[1, 2, 3], [4, 5, 6]], &device), None);
        state.save(&path).unwrap();
        Document::new(index, [(FILE.to_string(), std::fs::read(&path).unwrap())])
    };
    let states = models.iter().enumerate().map(state).collect();
    (models, states)
}

#[test]
fn any_state_file_is_a_state_or_an_error() {
    let (models, states) = models_and_states();
    let device = plain();
    any_document_is_read_or_refused(
        spoilt(states, |file, others| {
            let valid = file.bytes;
            prop_oneof![
                1 => random(),
                4 => damaged(valid.clone(), others),
                8 => tensors(valid)
            ]
        }),
        |directory, subject| {
            let model = &models[subject];
            let state = model.load_state(directory.join(FILE), &device).map_err(|error| error.to_string())?;
            Ok((subject, state))
        },
        |(subject, state)| {
            let batch = state.batch();
            let tokens = Tensor::<2, Int>::ones([batch, 2], &device);
            let (logits, state) = models[subject].forward(tokens, Some(state));
            assert_eq!(logits.dims(), [batch, 2, small_vocabulary()]);
            assert_eq!(state.batch(), batch);
        },
    );
}

fn small_vocabulary() -> usize {
    crate::models::VOCABULARY
}
