//! Streaming through states = recomputation from scratch, token for token.

use super::small::{VOCABULARY, model, patterns};
use burn::tensor::{Device, Int, Tensor, TensorData};
use seqzoo::MixerState;
use seqzoo::models::{LanguageModel, Sampler, Sampling};
use seqzoo_tests::plain;

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
