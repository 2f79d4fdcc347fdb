//! Results as a table for spreadsheets and data frames: a line for every run and slice.

use super::RunResult;
use serde::Serialize;

/// A line: the run, then the slice.
#[derive(Serialize)]
struct Line<'a> {
    contestant: &'a str,
    width: usize,
    learning_rate: f64,
    seed: u64,
    key: &'a str,
    steps: usize,
    diverged: bool,
    halved: bool,
    parameters: usize,
    state_recurrent_bytes: usize,
    state_cache_bytes: usize,
    state_convolution_bytes: usize,
    training_tokens_per_second: f64,
    step_microseconds: f64,
    wall_seconds: f64,
    length: usize,
    pairs: Option<usize>,
    updates: Option<usize>,
    depth: Option<usize>,
    examples: usize,
    accuracy: f64,
    state_cleared_accuracy: Option<f64>,
    streamed_seconds: Option<f64>,
    streamed_state_bytes: Option<usize>,
}

/// The table as text.
pub(super) fn csv(results: &[RunResult]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for result in results {
        for entry in &result.slices {
            let line = Line {
                contestant: &result.contestant,
                width: result.width,
                learning_rate: result.learning_rate,
                seed: result.seed,
                key: &result.key,
                steps: result.steps,
                diverged: result.diverged,
                halved: result.halved,
                parameters: result.parameters,
                state_recurrent_bytes: result.state.recurrent,
                state_cache_bytes: result.state.cache,
                state_convolution_bytes: result.state.convolution,
                training_tokens_per_second: result.training_tokens_per_second,
                step_microseconds: result.step_microseconds,
                wall_seconds: result.wall_seconds,
                length: entry.slice.length,
                pairs: entry.slice.pairs,
                updates: entry.slice.updates,
                depth: entry.slice.depth,
                examples: entry.examples,
                accuracy: entry.accuracy,
                state_cleared_accuracy: result.cleared,
                streamed_seconds: entry.streamed.map(|cost| cost.seconds),
                streamed_state_bytes: entry.streamed.map(|cost| cost.state_bytes),
            };
            writer.serialize(line).expect("numbers and text can be written to memory");
        }
    }
    let bytes = writer.into_inner().expect("memory takes what is written");
    String::from_utf8(bytes).expect("names are text")
}
