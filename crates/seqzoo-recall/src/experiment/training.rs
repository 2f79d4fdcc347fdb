//! How contestants learn, and what happens at each step.

use crate::results::SliceAccuracy;
use crate::task::{Slice, Split, Task};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Where the training examples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// New examples at every step, the segments taking turns: nothing can be memorised.
    Fresh {
        /// The number of steps.
        steps: usize,
    },
    /// A fixed set walked in the same order every epoch, one segment after the other, as Zoology
    /// does: an easy-to-hard curriculum inside every epoch.
    Fixed {
        /// The number of epochs.
        epochs: usize,
    },
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Linear warm-up over a fraction of the steps, then a cosine to 0, at every step.
    WarmupCosine {
        /// The fraction of all steps.
        warmup: f64,
    },
    /// A cosine to 0 that moves once per epoch, without warm-up, as Zoology does.
    EpochCosine,
}

/// What weight decay applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Matrices only: no norms, biases or other vectors.
    Matrices,
    /// Every parameter, as Zoology does.
    All,
}

/// The size of a training batch. A batch holds examples of one segment only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// This many examples.
    Examples(usize),
    /// As many examples as this many tokens hold, so that segments of different lengths get equal
    /// shares.
    Tokens(usize),
}

impl Batching {
    fn examples(self, length: usize) -> usize {
        match self {
            Self::Examples(count) => count,
            Self::Tokens(count) => count / length,
        }
    }
}

/// When a run has learned enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopRule {
    /// The accuracy of every slice is above this.
    EverySliceAbove(f64),
    /// The mean accuracy over the slices is above this.
    MeanAbove(f64),
}

impl StopRule {
    /// Whether these accuracies are enough.
    pub fn reached(self, slices: &[SliceAccuracy]) -> bool {
        match self {
            Self::EverySliceAbove(most) => slices.iter().all(|slice| slice.accuracy > most),
            Self::MeanAbove(most) => {
                slices.iter().map(|slice| slice.accuracy).sum::<f64>() > most * slices.len() as f64
            }
        }
    }
}

/// The training recipe: AdamW on batches of one segment each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Where the examples come from.
    pub data: Data,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// How much each step works on.
    pub batch: Batching,
    /// Examples per forward pass of an evaluation.
    #[serde(default = "test_batch")]
    pub test_batch_size: usize,
    /// Steps between evaluations; at the end of every epoch where absent.
    #[serde(default)]
    pub evaluate_every: Option<usize>,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// What it applies to.
    pub decay: Decay,
    /// The second moment's decay rate of AdamW; the first one's is 0.9.
    pub beta_2: f64,
    /// The largest norm of the gradient of all parameters together; unbounded where absent.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// When a run has learned enough to end early; never where absent.
    #[serde(default)]
    pub stop_when: Option<StopRule>,
}

/// A larger batch is taken for a mistake.
const MOST_EXAMPLES: usize = 1 << 20;

fn test_batch() -> usize {
    64
}

/// What one training step works on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
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
    pub(super) fn check(&self, task: &Task) -> Result<(), String> {
        let unless = |holds: bool, problem: &str| if holds { Ok(()) } else { Err(problem.to_string()) };
        let sizes =
            task.segments(Split::Train).into_iter().map(|(slice, _)| self.batch.examples(slice.length));
        unless(
            sizes.chain([self.test_batch_size]).all(|size| (1..=MOST_EXAMPLES).contains(&size)),
            &format!("a batch must hold 1 to {MOST_EXAMPLES} examples of every segment"),
        )?;
        unless(
            self.evaluate_every != Some(0),
            "`evaluate_every` is 0; leave it out or give a number of steps",
        )?;
        unless((0.0..1.0).contains(&self.beta_2), "`beta_2` must be at least 0 and below 1")?;
        unless(
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            "`weight_decay` must be a finite number of at least 0",
        )?;
        unless(
            self.clip_norm.is_none_or(|norm| norm > 0.0 && norm.is_finite()),
            "`clip_norm` must be a finite number above 0; leave it out for no bound",
        )?;
        if let Some(StopRule::EverySliceAbove(most) | StopRule::MeanAbove(most)) = self.stop_when {
            unless((0.0..1.0).contains(&most), "`stop_when` is an accuracy: at least 0 and below 1")?;
        }
        if let Schedule::WarmupCosine { warmup } = self.schedule {
            unless(
                (0.0..1.0).contains(&warmup),
                "`warmup` is a fraction of the steps: at least 0 and below 1",
            )?;
        }
        match self.data {
            Data::Fresh { steps } => {
                unless(steps > 0, "the number of steps is 0")?;
                unless(
                    task.segments(Split::Train).iter().all(|(_, examples)| *examples == 0),
                    "with fresh data a `[[task.train]]` segment has no number of `examples`; leave it out, or \
                     use a `fixed` set",
                )?;
                unless(
                    self.schedule != Schedule::EpochCosine,
                    "`epoch_cosine` wants epochs; use `warmup_cosine` with fresh data",
                )
            }
            Data::Fixed { epochs } => {
                unless(epochs > 0, "the number of epochs is 0")?;
                let segments = task.segments(Split::Train);
                unless(
                    segments.iter().all(|(_, examples)| *examples > 0),
                    "with a fixed set every `[[task.train]]` segment needs its number of `examples`",
                )
            }
        }
    }

    /// The number of steps of a whole run.
    pub fn steps(&self, task: &Task) -> usize {
        match self.data {
            Data::Fresh { steps } => steps,
            Data::Fixed { epochs } => epochs * self.steps_per_epoch(task),
        }
    }

    fn steps_per_epoch(&self, task: &Task) -> usize {
        task.segments(Split::Train).iter().map(|segment| self.batches(segment)).sum()
    }

    /// The number of batches of a segment of a fixed set; the last one may be smaller.
    fn batches(&self, (slice, examples): &(Slice, usize)) -> usize {
        examples.div_ceil(self.batch.examples(slice.length))
    }

    /// What the step `step`, counted from 0, works on.
    pub fn moment(&self, task: &Task, step: usize) -> Moment {
        let total = self.steps(task);
        let last = step + 1 == total;
        let every = |period: usize| (step + 1).is_multiple_of(period);
        match self.data {
            Data::Fresh { .. } => {
                let segments = task.segments(Split::Train);
                let segment = step % segments.len();
                let count = self.batch.examples(segments[segment].0.length) as u64;
                Moment {
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
                Moment {
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
