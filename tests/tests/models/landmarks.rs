//! Models that insert landmarks between their tokens.

use super::small::{VOCABULARY, config, small};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor};
use seqzoo::models::{LanguageModel, LanguageModelConfig, Sampling};
use seqzoo::ops::Segments;
use seqzoo::{MixerConfig, MixerState};
use seqzoo_tests::{Inputs, Outcome, autodiff, double, largest_error, plain, said, values};

/// Landmarks after every three tokens, in blocks of four; and a hybrid.
fn configs() -> [LanguageModelConfig; 2] {
    let layer =
        |kind: &str| MixerConfig::from_options(kind, 16, small(kind).as_object().unwrap().clone()).unwrap();
    let attention = || layer("landmark_attention");
    let with = |pattern| config(pattern).with_landmark_every(Some(3));
    [
        with(vec![attention(), attention()]),
        with(vec![layer("gated_delta_net"), attention(), layer("base_conv")]),
    ]
}

fn models(device: &Device) -> Vec<LanguageModel> {
    device.seed(3);
    configs().map(|config| double(config.init(device))).into_iter().collect()
}

fn tokens(batch: usize, time: usize, device: &Device) -> Tensor<2, Int> {
    Inputs::new(4, device).between([batch, time], 0.0, VOCABULARY as f64).int()
}

#[test]
fn logits_and_gradients_do_not_depend_on_how_the_tokens_arrive() {
    let device = autodiff();
    let all = tokens(2, 14, &device);
    for model in models(&device) {
        let run = |sizes: &[usize]| {
            let (mut from, mut state, mut parts) = (0, None, Vec::new());
            for size in sizes {
                let (logits, next) = model.forward(all.clone().narrow(1, from, *size), state);
                parts.push(logits);
                (from, state) = (from + size, Some(next));
            }
            assert_eq!(state.unwrap().position, 14);
            let logits = Tensor::cat(parts, 1);
            let mut outcome = Outcome::default();
            outcome.put("logits", &logits);
            let gradients =
                (logits.clone() * Inputs::new(1, &device).uniform(logits.dims())).sum().backward();
            outcome.put_gradient("embedding", &model.embedding.weight.val(), &gradients);
            outcome.put_gradient("landmark", &model.landmark.as_ref().unwrap().val(), &gradients);
            outcome
        };
        let whole = run(&[14]);
        for split in 1..14 {
            run(&[split, 14 - split]).assert_close(&whole, 1e-9);
        }
        run(&[1; 14]).assert_close(&whole, 1e-9);
    }
}

/// The same model with a word for landmarks, which the caller puts in their places.
#[test]
fn a_landmark_is_as_a_token_of_the_callers() {
    let device = plain();
    let all = tokens(2, 11, &device);
    let landmark = Tensor::<2, Int>::full([2, 1], VOCABULARY as i64, &device);
    let mut parts = Vec::new();
    for from in (0..11).step_by(3) {
        let length = 3.min(11 - from);
        parts.push(all.clone().narrow(1, from, length));
        if length == 3 {
            parts.push(landmark.clone());
        }
    }
    let by_hand = Tensor::cat(parts, 1);
    assert_eq!(by_hand.dims(), [2, 14]);
    let tokens = [0i64, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13];
    let places = Tensor::<1, Int>::from_data(tokens, &device);
    for (model, config) in models(&device).into_iter().zip(configs()) {
        let own = model.landmark.as_ref().unwrap().val().reshape([1, 16]);
        let wider = LanguageModelConfig { vocab_size: VOCABULARY + 1, landmark_every: None, ..config };
        let mut other = double(wider.init(&device));
        other.blocks = model.blocks.clone();
        other.embedding.weight = Param::from_tensor(Tensor::cat(vec![model.embedding.weight.val(), own], 0));
        let (found, state) = model.hidden(all.clone(), None, None);
        let (wanted, other_state) = other.hidden(by_hand.clone(), None, None);
        let error = largest_error(&values(found), &values(wanted.select(1, places.clone())));
        assert!(error < 1e-12, "{error:e}");
        assert_eq!((state.position, other_state.position), (11, 14));
    }
}

#[test]
fn streaming_equals_recomputation_and_a_saved_stream_goes_on() {
    let (device, directory) = (plain(), tempfile::tempdir().unwrap());
    for model in models(&device) {
        let text: Vec<usize> = model.generate(&[3, 1, 4, 1], Sampling::Greedy).unwrap().take(17).collect();
        let mut seen = vec![3i64, 1, 4, 1];
        for token in &text {
            let so_far = Tensor::<1, Int>::from_data(seen.as_slice(), &device).unsqueeze_dim::<2>(0);
            let (logits, _) = model.forward(so_far, None);
            let last = logits.narrow(1, seen.len() - 1, 1).reshape([VOCABULARY]);
            assert_eq!(last.argmax(0).into_scalar::<i64>() as usize, *token);
            seen.push(*token as i64);
        }

        for stop in 1..8 {
            let path = directory.path().join("stream.state");
            let mut stream = model.generate(&[3, 1, 4, 1], Sampling::Greedy).unwrap();
            let mut parts: Vec<usize> = stream.by_ref().take(stop).collect();
            stream.state().save(&path).unwrap();
            let pending = stream.pending().to_vec();
            let state = model.load_state(&path, &device).unwrap();
            parts.extend(model.generate_from(state, &pending, Sampling::Greedy).unwrap().take(17 - stop));
            assert_eq!(parts, text);
        }
    }
}

#[test]
fn a_saved_model_keeps_its_landmark() {
    let (device, directory) = (plain(), tempfile::tempdir().unwrap());
    device.seed(3);
    let model = configs()[0].init(&device);
    model.save(directory.path()).unwrap();
    let loaded = LanguageModel::load(directory.path(), &device).unwrap();
    assert_eq!(loaded.config().landmark_every, Some(3));
    let logits = |model: &LanguageModel| model.forward(tokens(2, 9, &device), None).0.into_data();
    assert_eq!(logits(&loaded), logits(&model));
    assert_eq!(model.num_params(), configs()[0].num_params(&device).unwrap());
}

#[test]
fn no_sequences_have_no_logits() {
    let model = configs()[0].init(&plain());
    let (logits, state) = model.forward(Tensor::zeros([0, 7], &plain()), None);
    assert_eq!((logits.dims(), state.batch()), ([0, 7, VOCABULARY], 0));
}

#[test]
fn what_does_not_fit_is_named() {
    let device = plain();
    let refused = |config: LanguageModelConfig| match config.try_init(&device) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    let [config, _] = configs();
    for (every, sentence) in [
        (4, "landmark_every = 4, but the layer landmark_attention has block = 4"),
        (usize::MAX, "but the layer landmark_attention has block = 4"),
        (0, "landmark_every is 0; let at least 1 token stand between landmarks"),
    ] {
        let said = refused(config.clone().with_landmark_every(Some(every)));
        assert!(said.contains(sentence), "{said}");
    }
    let model = config.init(&device);
    let resets = Tensor::<2, Bool>::full([1, 5], false, &device);
    let said_of_resets = said(|| model.hidden(tokens(1, 5, &device), Some(resets), None));
    let segments = Segments::in_one_row([3, 2]);
    let said_of_segments = said(|| model.hidden_segments(tokens(1, 5, &device), &segments, None));
    assert!(said_of_segments.contains(&model.segments_refusal().unwrap()));
    for (said, argument) in [(said_of_resets, "resets"), (said_of_segments, "segments")] {
        let wanted = format!("The argument `{argument}` is not taken by a model that inserts landmarks");
        assert!(said.contains(&wanted), "{said}");
    }
}
