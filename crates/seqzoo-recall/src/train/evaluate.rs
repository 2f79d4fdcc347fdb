//! Scoring: the share of answers, or of whole examples, that are right.

use super::longest;
use super::read::read;
use crate::experiment::{Retrieval, RunConfig};
use crate::results::{Blocks, SliceAccuracy, Streamed, mean_accuracy};
use crate::task::{Batch, Split};
use crate::{Error, stop};
use burn::tensor::Device;
use seqzoo::models::LanguageModel;
use std::time::Instant;

/// Which test slices are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them.
    All,
    /// Those no longer than the longest training examples.
    Trained,
}

impl Scope {
    /// What an evaluation on the way scores.
    pub fn on_the_way(run: &RunConfig) -> Self {
        if run.training.evaluate_beyond { Self::All } else { Self::Trained }
    }

    fn covers(self, run: &RunConfig, length: usize) -> bool {
        self == Self::All || length <= longest(run)
    }
}

/// The accuracy of every slice in `scope`, over all tokens that can be an answer.
///
/// # Errors
///
/// If the user asked to stop.
pub(super) fn evaluate(
    model: &LanguageModel,
    run: &RunConfig,
    device: &Device,
    scope: Scope,
) -> Result<Vec<SliceAccuracy>, Error> {
    let segments = 0..run.task.segments(Split::Test).len();
    let covered = |segment: &usize| scope.covers(run, run.task.segments(Split::Test)[*segment].0.length);
    segments.filter(covered).map(|segment| score(model, run, device, segment, false)).collect()
}

/// The accuracy where the state is cleared before the question, which leaves nothing but guessing: over the slices of
/// the shortest length. Nothing for tasks that do not ask at the end.
///
/// # Errors
///
/// If the user asked to stop.
pub(super) fn cleared(model: &LanguageModel, run: &RunConfig, device: &Device) -> Result<Option<f64>, Error> {
    // A model that inserts landmarks takes no resets.
    if !run.task.asks_once() || model.landmark.is_some() {
        return Ok(None);
    }
    let segments = run.task.segments(Split::Test);
    let shortest = segments.iter().map(|(slice, _)| slice.length).min();
    let of_it = (0..segments.len()).filter(|segment| Some(segments[*segment].0.length) == shortest);
    let scores = of_it.map(|segment| score(model, run, device, segment, true));
    let scores = scores.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(mean_accuracy(&scores)))
}

/// The accuracy of one test segment; with the state cleared before the question, if that is wanted.
fn score(
    model: &LanguageModel,
    run: &RunConfig,
    device: &Device,
    segment: usize,
    clear: bool,
) -> Result<SliceAccuracy, Error> {
    let (slice, examples) = run.task.segments(Split::Test)[segment];
    let streams = run.training.stream_tests.filter(|stream| *stream < slice.length);
    let start = Instant::now();
    let retrieval = run.retrieval.as_ref().map(Retrieval::config);
    let mut blocks: Option<Blocks> = None;
    let (mut right, mut counted, mut state_bytes) = (0, 0, 0);
    let mut first = 0;
    while first < examples {
        if stop::asked() {
            return Err(Error::Interrupted);
        }
        let last = examples.min(first + run.training.test_batch_size);
        let indices = first as u64..last as u64;
        let batch = Batch::new(&run.task, run.seed, Split::Test, segment, indices, device);
        let resets = clear.then(|| batch.question_starts());
        let segment = streams.unwrap_or(slice.length);
        let reading = read(model, &batch, resets.as_ref(), segment, retrieval.as_ref());
        blocks = reading.blocks().map(|counts| Blocks::from(counts) + blocks.unwrap_or_default());
        let (good, all) = count(&batch, &reading.said, run.task.whole());
        right += good;
        counted += all;
        state_bytes = reading.state_bytes(last - first);
        first = last;
    }
    let streamed = streams.map(|_| Streamed { seconds: start.elapsed().as_secs_f64(), state_bytes });
    Ok(SliceAccuracy { slice, accuracy: right as f64 / counted as f64, examples, streamed, blocks })
}

/// How many are right and how many there are: answers, or `whole` examples.
fn count(batch: &Batch, said: &[i64], whole: bool) -> (usize, usize) {
    let right = |index: usize| said[index] == i64::from(batch.answers[index].token);
    if !whole {
        return ((0..said.len()).filter(|index| right(*index)).count(), said.len());
    }
    let rows = batch.tokens.dims()[0];
    let mut good = vec![true; rows];
    for (index, answer) in batch.answers.iter().enumerate() {
        good[answer.row] &= right(index);
    }
    (good.into_iter().filter(|good| *good).count(), rows)
}
