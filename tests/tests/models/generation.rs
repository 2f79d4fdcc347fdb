//! Streaming through states = recomputation from scratch, token for token.

use super::small::{VOCABULARY, model, patterns, small};
use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use seqzoo::models::{LanguageModel, LanguageModelConfig, Parked, Sampler, Sampling};
use seqzoo::state::{StateMapper, StatePart};
use seqzoo::{GenerateError, MixerConfig, MixerState};
use seqzoo_tests::{autodiff, plain};

const PROMPT: [usize; 5] = [3, 1, 4, 1, 5];

fn random(seed: u64) -> Sampling {
    Sampling::Random { temperature: 0.8, top_k: Some(10), top_p: Some(0.9), seed }
}

/// Generates by running the whole text through the model for every token.
fn from_scratch(model: &LanguageModel, sampling: Sampling, count: usize, device: &Device) -> Vec<usize> {
    let mut sampler = Sampler::new(sampling).unwrap();
    let mut text = PROMPT.to_vec();
    for _ in 0..count {
        let ids: Vec<i64> = text.iter().map(|token| *token as i64).collect();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, text.len()]), device);
        let (logits, _) = model.forward(tokens, None);
        let last: Vec<f32> = logits.narrow(1, text.len() - 1, 1).into_data().try_to_vec().unwrap();
        text.push(sampler.next(&last));
    }
    text.split_off(PROMPT.len())
}

#[test]
fn streaming_equals_recomputation_token_for_token() {
    let device = plain();
    for pattern in patterns() {
        let model = model(pattern, &device);
        for sampling in [Sampling::Greedy, random(7)] {
            let streamed: Vec<usize> = model.generate(&PROMPT, sampling.clone()).unwrap().take(40).collect();
            assert_eq!(streamed, from_scratch(&model, sampling, 40, &device));
        }
    }
}

#[test]
fn a_seed_repeats_and_another_differs() {
    let device = plain();
    let model = model(patterns().pop().unwrap(), &device);
    let text = |seed| model.generate(&PROMPT, random(seed)).unwrap().take(30).collect::<Vec<_>>();
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn a_saved_stream_goes_on_where_it_stopped() {
    let (device, directory) = (plain(), tempfile::tempdir().unwrap());
    let path = directory.path().join("stream.state");
    for pattern in patterns() {
        let model = model(pattern, &device);
        let whole: Vec<usize> = model.generate(&PROMPT, Sampling::Greedy).unwrap().take(20).collect();
        let mut stream = model.generate(&PROMPT, Sampling::Greedy).unwrap();
        let mut text: Vec<usize> = stream.by_ref().take(8).collect();
        stream.state().save(&path).unwrap();
        let pending = stream.pending().to_vec();
        let state = model.load_state(&path, &device).unwrap();
        text.extend(model.generate_from(state, &pending, Sampling::Greedy).unwrap().take(12));
        assert_eq!(text, whole);
    }
}

#[test]
fn a_parked_generation_goes_on_as_if_it_had_not_stopped() {
    let (device, directory) = (plain(), tempfile::tempdir().unwrap());
    let path = directory.path().join("stream.state");
    for sampling in [Sampling::Greedy, random(5)] {
        let model = model(patterns().pop().unwrap(), &device);
        let whole: Vec<usize> = model.generate(&PROMPT, sampling.clone()).unwrap().take(20).collect();
        let mut stream = model.generate(&PROMPT, sampling).unwrap();
        let mut text: Vec<usize> = stream.by_ref().take(10).collect();
        let parked = stream.park();
        let rest = serde_json::to_string(&(&parked.pending, &parked.sampler)).unwrap();
        parked.state.save_with_note(&path, &rest).unwrap();
        let (state, note) = model.init_state(1, &device).load_with_note(&path, &device).unwrap();
        let (pending, sampler) = serde_json::from_str(&note.unwrap()).unwrap();
        // The note is no part of the state.
        model.load_state(&path, &device).unwrap();
        text.extend(model.resume(Parked { state, pending, sampler }).unwrap().take(10));
        assert_eq!(text, whole);
    }
}

#[test]
fn a_model_that_computes_nan_ends_its_generation_with_the_reason() {
    let device = plain();
    let mut broken = model(patterns().pop().unwrap(), &device);
    broken.embedding.weight = broken.embedding.weight.map(|weight| weight.mul_scalar(f32::NAN));
    for sampling in [Sampling::Greedy, random(1)] {
        let mut stream = broken.generate(&PROMPT, sampling).unwrap();
        assert_eq!(stream.error(), None);
        assert_eq!((stream.next(), stream.next()), (None, None));
        let reason = GenerateError::NoToken { logits: VOCABULARY };
        assert_eq!(stream.error(), Some(&reason));
        assert_eq!(stream.try_next(), Err(reason));
    }
}

#[test]
fn a_model_in_training_generates_off_the_tape() {
    let device = autodiff();
    let model = model(patterns().pop().unwrap(), &device);
    let mut stream = model.generate(&PROMPT, Sampling::Greedy).unwrap();
    let text: Vec<usize> = stream.by_ref().take(5).collect();
    struct Untracked;
    impl StateMapper for Untracked {
        fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
            assert!(!tensor.is_autodiff(), "{name}");
            tensor
        }
        fn mask(&mut self, _: &str, mask: Option<Tensor<2, Bool>>) -> Option<Tensor<2, Bool>> {
            mask
        }
    }
    stream.state().clone().map_state(&mut Untracked);
    assert_eq!(text, model.valid().generate(&PROMPT, Sampling::Greedy).unwrap().take(5).collect::<Vec<_>>());

    // A state from training goes on off the tape, too.
    let tokens = Tensor::<2, Int>::from_ints([[3, 1, 4, 1]], &device);
    let (_, state) = model.forward(tokens, None);
    let continued = model.generate_from(state, &[5], Sampling::Greedy).unwrap();
    assert_eq!(text, continued.take(5).collect::<Vec<_>>());
}

#[test]
fn a_state_that_does_not_fit_is_an_error() {
    let device = plain();
    let mut all = patterns();
    let (hybrid, attention) = (model(all.pop().unwrap(), &device), model(all.remove(0), &device));
    let message = |state| match hybrid.generate_from(state, &[1], Sampling::Greedy) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    assert!(message(hybrid.init_state(2, &device)).contains("is of 2 sequences, but 1 is wanted"));
    assert!(message(attention.init_state(1, &device)).contains("one of `language_model[base_conv,"));
}

#[test]
fn a_prompt_that_cannot_be_continued_is_an_error() {
    let device = plain();
    let model = model(patterns().pop().unwrap(), &device);
    let message = |prompt: &[usize], sampling| match model.generate(prompt, sampling) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    assert!(message(&[], Sampling::Greedy).contains("the prompt is empty"));
    assert!(
        message(&[VOCABULARY], Sampling::Greedy)
            .contains("the token 23, but the vocabulary has 23 tokens (0 to 22)")
    );
    let cold = Sampling::Random { temperature: -1.0, top_k: None, top_p: None, seed: 0 };
    assert!(message(&[1], cold).contains("the temperature is -1"));
}

#[test]
fn a_state_of_other_shapes_is_an_error() {
    let device = plain();
    for kind in MixerConfig::KINDS {
        let with = |d_model: usize, options: serde_json::Value| {
            let config =
                MixerConfig::from_options(kind, d_model, options.as_object().unwrap().clone()).unwrap();
            device.seed(3);
            LanguageModelConfig::new(VOCABULARY, d_model, vec![config]).init(&device)
        };
        let (narrow, mut wide) = (small(kind), small(kind));
        // Some memories are the same however many channels the model has.
        for (option, number) in [("head_dim", 8), ("d_state", 16), ("order", 32)] {
            if let Some(small) = wide.get_mut(option) {
                *small = number.into();
            }
        }
        let (model, other) = (with(16, narrow), with(32, wide));
        for state in [other.init_state(1, &device), other.forward(Tensor::zeros([1, 3], &device), None).1] {
            let said = match model.generate_from(state, &[1], Sampling::Greedy) {
                Ok(_) => panic!("{kind}: an error was expected"),
                Err(error) => error.to_string(),
            };
            assert!(
                said.contains("the state to continue from holds `layers.0.") && said.contains("is wanted"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_state_that_does_not_fit_itself_is_an_error() {
    let device = plain();
    let model = model(patterns().remove(7), &device);
    let states = || model.forward(Tensor::zeros([1, 3], &device), None).1;
    let refused = |state, sentence: &str| match model.generate_from(state, &[1], Sampling::Greedy) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => assert!(error.to_string().contains(sentence), "{error}"),
    };
    let mut far = states();
    far.position = u64::MAX;
    refused(far, "has `position` = 18446744073709551615, but at most");
    let mut torn = states();
    let two = model.forward(Tensor::zeros([2, 3], &device), None).1;
    torn.layers[1] = two.layers[1].clone();
    refused(torn, "is of 1 sequences in `layers.0.");
    let mut long = states();
    long.layers.push(long.layers[0].clone());
    refused(long, "but one of `language_model[");
}

#[test]
fn a_selected_state_is_continued_before_its_first_token() {
    let device = plain();
    for pattern in patterns() {
        let model = model(pattern, &device);
        let pick = |rows: &[i64]| {
            let indices = Tensor::<1, Int>::from_data(TensorData::new(rows.to_vec(), [rows.len()]), &device);
            model.init_state(4, &device).select(indices)
        };
        assert_eq!((pick(&[2]).batch(), pick(&[1, 1, 0, 3, 3]).batch()), (1, 5));
        let text: Vec<usize> =
            model.generate_from(pick(&[2]), &PROMPT, Sampling::Greedy).unwrap().take(5).collect();
        assert_eq!(text, model.generate(&PROMPT, Sampling::Greedy).unwrap().take(5).collect::<Vec<_>>());
    }
}
