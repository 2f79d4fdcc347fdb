//! The plan of each training step: its examples and its learning rate.

use super::{Data, Schedule, Training};
use crate::task::{Slice, Split, Task};
use std::f64::consts::PI;

/// The work of one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepPlan {
    /// The segment of the training split.
    pub segment: usize,
    /// The first example.
    pub first: u64,
    /// How many examples.
    pub count: u64,
    /// The learning rate as a fraction of the largest.
    pub rate: f64,
    /// Whether an evaluation follows.
    pub evaluate: bool,
}

impl Training {
    /// The number of steps of a whole run; `usize::MAX` where there are more.
    pub fn steps(&self, task: &Task) -> usize {
        match self.data {
            Data::Fresh { steps } => steps,
            Data::Fixed { epochs } => epochs.saturating_mul(self.steps_per_epoch(task)),
        }
    }

    fn steps_per_epoch(&self, task: &Task) -> usize {
        let segments = task.segments(Split::Train);
        segments.iter().fold(0, |sum, segment| sum.saturating_add(self.batches(segment)))
    }

    /// The number of batches of a segment of a fixed set; the last one may be smaller.
    fn batches(&self, (slice, examples): &(Slice, usize)) -> usize {
        examples.div_ceil(self.batch.examples(slice.length))
    }

    /// The plan of the step `step`, counted from 0.
    pub fn plan(&self, task: &Task, step: usize) -> StepPlan {
        let total = self.steps(task);
        let last = step + 1 == total;
        let every = |period: usize| (step + 1).is_multiple_of(period);
        match self.data {
            Data::Fresh { .. } => {
                let segments = task.segments(Split::Train);
                let segment = step % segments.len();
                let count = self.batch.examples(segments[segment].0.length) as u64;
                StepPlan {
                    segment,
                    first: (step / segments.len()) as u64 * count,
                    count,
                    rate: self.rate(step as f64, total as f64),
                    evaluate: last || self.evaluate_every.is_some_and(every),
                }
            }
            Data::Fixed { epochs } => {
                let per_epoch = self.steps_per_epoch(task);
                let (epoch, mut within) = (step / per_epoch, step % per_epoch);
                let rate = match self.schedule {
                    Schedule::EpochCosine => cosine(epoch as f64 / epochs as f64),
                    Schedule::WarmupCosine { .. } => self.rate(step as f64, total as f64),
                };
                let mut segment = 0;
                let segments = task.segments(Split::Train);
                while within >= self.batches(&segments[segment]) {
                    within -= self.batches(&segments[segment]);
                    segment += 1;
                }
                let (slice, examples) = segments[segment];
                let size = self.batch.examples(slice.length);
                let first = within * size;
                StepPlan {
                    segment,
                    first: first as u64,
                    count: size.min(examples - first) as u64,
                    rate,
                    evaluate: last || every(self.evaluate_every.unwrap_or(per_epoch)),
                }
            }
        }
    }

    /// Linear warm-up, then a cosine to 0.
    fn rate(&self, step: f64, total: f64) -> f64 {
        let Schedule::WarmupCosine { warmup } = self.schedule else { return 1.0 };
        let warm = (warmup * total).max(1.0);
        if step + 1.0 <= warm {
            return (step + 1.0) / warm;
        }
        cosine((step + 1.0 - warm) / (total + 1.0 - warm))
    }
}

/// From 1 at 0 to 0 at 1.
fn cosine(progress: f64) -> f64 {
    0.5 * (1.0 + (PI * progress).cos())
}
