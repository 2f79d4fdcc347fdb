//! The cost of running a trained model.

use super::read::read;
use crate::experiment::RunConfig;
use crate::task::{Batch, Split};
use burn::tensor::Device;
use seqzoo::models::LanguageModel;
use seqzoo::{MixerState, StateBytes};
use std::time::Instant;

/// How often a decoding step is timed.
const REPEATS: usize = 51;

/// The state of one sequence after the longest test example, and the median time of a decoding step
/// from there, in microseconds.
pub(super) fn cost(model: &LanguageModel, run: &RunConfig, device: &Device) -> (StateBytes, f64) {
    let segments = run.task.segments(Split::Test);
    let longest = (0..segments.len()).max_by_key(|index| segments[*index].0.length).unwrap_or(0);
    let batch = Batch::new(&run.task, run.seed, Split::Test, longest, 0..1, device);
    let segment = run.training.stream_tests.unwrap_or(usize::MAX);
    let state = read(model, &batch, None, segment, None).state().expect("an example has a token");

    let token = batch.tokens.narrow(1, 0, 1);
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            let (logits, _) = model.forward(token.clone(), Some(state.clone()));
            logits.into_data();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (state.bytes(), times[REPEATS / 2])
}
