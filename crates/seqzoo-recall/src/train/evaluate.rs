//! Scoring: the share of supervised positions whose most likely token is the right one.

use crate::experiment::RunConfig;
use crate::results::SliceAccuracy;
use crate::stop;
use crate::task::{Batch, Split};
use burn::tensor::Device;
use seqzoo::models::LanguageModel;

/// The accuracy of every test slice, over the full vocabulary; nothing if the user asked to stop.
pub(super) fn evaluate(
    model: &LanguageModel,
    run: &RunConfig,
    device: &Device,
) -> Option<Vec<SliceAccuracy>> {
    let segments = run.task.segments(Split::Test);
    let mut slices = Vec::with_capacity(segments.len());
    for (segment, (slice, examples)) in segments.into_iter().enumerate() {
        let (mut right, mut asked) = (0, 0);
        let mut first = 0;
        while first < examples {
            if stop::asked() {
                return None;
            }
            let last = examples.min(first + run.training.test_batch_size);
            let batch =
                Batch::new(&run.task, run.seed, Split::Test, segment, first as u64..last as u64, device);
            right += correct(model, &batch);
            asked += batch.answers.len();
            first = last;
        }
        slices.push(SliceAccuracy { slice, accuracy: right as f64 / asked as f64, examples });
    }
    Some(slices)
}

/// How many answers of the batch the model gets right.
fn correct(model: &LanguageModel, batch: &Batch) -> usize {
    let (hidden, _) = model.hidden(batch.tokens.clone(), None, None);
    let [rows, time, channels] = hidden.dims();
    let asked = hidden.reshape([rows * time, channels]).select(0, batch.positions.clone());
    let said = model.logits(asked).argmax(1).into_data().convert::<i64>();
    let said: Vec<i64> = said.try_to_vec().expect("token numbers are integers");
    said.iter().zip(&batch.answers).filter(|(said, wanted)| **said == i64::from(**wanted)).count()
}
