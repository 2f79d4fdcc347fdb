//! How contestants learn.

use crate::error::ensure;
use crate::task::{Split, Task};
use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

/// Where the training examples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Linear warm-up over a fraction of the steps, then a cosine to 0, at every step.
    WarmupCosine {
        /// The fraction of all steps.
        warmup: f64,
    },
    /// A cosine to 0 that moves once per epoch, without warm-up, as Zoology does.
    EpochCosine,
}

/// The parameters that weight decay applies to.
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
    pub(super) fn examples(self, length: usize) -> usize {
        match self {
            Self::Examples(count) => count,
            Self::Tokens(count) => count / length,
        }
    }
}

/// The precision of the products of a training step. Weights, sums and states are in `f32` in each, and so are tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `f32`.
    #[default]
    F32,
    /// `bf16`, which has the range of `f32`.
    Bf16,
    /// `f16`, with the loss multiplied by 1,024 for the backward pass, so that small gradients do not vanish.
    F16,
}

impl Precision {
    /// The type of products; nothing where it is that of the weights.
    pub(crate) fn narrow(self) -> Option<FloatDType> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(FloatDType::BF16),
            Self::F16 => Some(FloatDType::F16),
        }
    }

    /// What the loss is multiplied by for the backward pass.
    pub(crate) fn loss_factor(self) -> Option<f32> {
        (self == Self::F16).then_some(1024.0)
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
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
    /// Whether these accuracies, one per slice, are enough.
    pub fn reached(self, accuracies: &[f64]) -> bool {
        match self {
            Self::EverySliceAbove(bound) => accuracies.iter().all(|accuracy| *accuracy > bound),
            Self::MeanAbove(bound) => accuracies.iter().sum::<f64>() > bound * accuracies.len() as f64,
        }
    }

    fn bound(self) -> f64 {
        match self {
            Self::EverySliceAbove(bound) | Self::MeanAbove(bound) => bound,
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
    /// Steps between evaluations. `None`: at the end of every epoch.
    #[serde(default)]
    pub evaluate_every: Option<usize>,
    /// Whether evaluations on the way score lengths beyond those trained on, too. The last one always does.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub evaluate_beyond: bool,
    /// Tests longer than this are read in segments of so many tokens, the state carried from one to the next: memory
    /// does not grow with their length, but for caches. `None`: all tests are read in one pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_tests: Option<usize>,
    /// The precision of products.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The parameters that it applies to.
    pub decay: Decay,
    /// AdamW's decay rate of the second moment; that of the first is 0.9.
    pub beta_2: f64,
    /// The largest norm of the gradient of all parameters together. `None`: unbounded.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// When a run has learned enough to end early. `None`: never.
    #[serde(default)]
    pub stop_when: Option<StopRule>,
}

/// A larger batch is taken for a mistake.
const MAX_EXAMPLES: usize = 1 << 20;

/// More steps than this are taken for a mistake: years on any machine.
const MAX_STEPS: usize = 1 << 32;

fn test_batch() -> usize {
    64
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

impl Training {
    pub(super) fn check(&self, task: &Task) -> Result<(), String> {
        let segments = task.segments(Split::Train);
        let sizes = segments.iter().map(|(slice, _)| self.batch.examples(slice.length));
        ensure!(
            sizes.chain([self.test_batch_size]).all(|size| (1..=MAX_EXAMPLES).contains(&size)),
            "a batch must hold 1 to {MAX_EXAMPLES} examples of every segment"
        );
        ensure!(
            self.evaluate_every != Some(0),
            "`evaluate_every` is 0; leave it out or give a number of steps"
        );
        ensure!(
            self.stream_tests != Some(0),
            "`stream_tests` is 0; leave it out or give the number of tokens of a segment"
        );
        let shortest = task.segments(Split::Test).iter().map(|(slice, _)| slice.length).min();
        let longest = segments.iter().map(|(slice, _)| slice.length).max();
        ensure!(
            self.evaluate_beyond || shortest <= longest,
            "`evaluate_beyond` is false, but no test is as short as a training example: nothing would be scored on the way"
        );
        let beta_2 = self.beta_2;
        ensure!((0.0..1.0).contains(&beta_2), "`beta_2` must be at least 0 and below 1");
        // AdamW divides by 1 minus a power of it, in `f32`.
        ensure!(
            (0.0..1.0).contains(&(beta_2 as f32)),
            "`beta_2` is {beta_2}, which is 1 in the f32 that is computed with; at most 0.9999999 is wanted"
        );
        ensure!(
            self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            "`weight_decay` must be a finite number of at least 0"
        );
        ensure!(
            self.clip_norm.is_none_or(|norm| norm.is_finite() && norm > 0.0),
            "`clip_norm` must be a finite number above 0; leave it out for no bound"
        );
        ensure!(
            self.stop_when.is_none_or(|rule| (0.0..1.0).contains(&rule.bound())),
            "`stop_when` is an accuracy: at least 0 and below 1"
        );
        if let Schedule::WarmupCosine { warmup } = self.schedule {
            ensure!(
                (0.0..1.0).contains(&warmup),
                "`warmup` is a fraction of the steps: at least 0 and below 1"
            );
        }
        match self.data {
            Data::Fresh { steps } => {
                ensure!(steps > 0, "the number of steps is 0");
                ensure!(
                    segments.iter().all(|(_, examples)| *examples == 0),
                    "with fresh data a `[[task.train]]` segment has no number of `examples`; leave it out, or \
                     use a `fixed` set"
                );
                ensure!(
                    self.schedule != Schedule::EpochCosine,
                    "`epoch_cosine` wants epochs; use `warmup_cosine` with fresh data"
                );
            }
            Data::Fixed { epochs } => {
                ensure!(epochs > 0, "the number of epochs is 0");
                ensure!(
                    segments.iter().all(|(_, examples)| *examples > 0),
                    "with a fixed set every `[[task.train]]` segment needs its number of `examples`"
                );
            }
        }
        ensure!(
            self.steps(task) <= MAX_STEPS,
            "the training has more than {MAX_STEPS} steps; make `steps`, `epochs` or the segments smaller"
        );
        Ok(())
    }
}
