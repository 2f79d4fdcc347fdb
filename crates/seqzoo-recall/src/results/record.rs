//! The result of one run.

use crate::machine::Machine;
use crate::task::Slice;
use seqzoo::StateBytes;
use seqzoo::layers::BlockCounts;
use serde::{Deserialize, Serialize};
use std::ops::Add;

/// The cost of scoring a slice through the recurrent state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Streamed {
    /// Seconds for all examples.
    pub seconds: f64,
    /// Bytes of the state of one sequence after the last token.
    pub state_bytes: usize,
}

/// The blocks that layers of landmark attention read, counted once per sequence and key and value head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// By queries, for all examples.
    pub read: u64,
    /// From the host to the device.
    pub loaded: u64,
}

impl From<BlockCounts> for Blocks {
    fn from(BlockCounts { read, loaded }: BlockCounts) -> Self {
        Self { read, loaded }
    }
}

/// Sums end at the largest number: counts may come from files.
impl Add for Blocks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { read: self.read.saturating_add(other.read), loaded: self.loaded.saturating_add(other.loaded) }
    }
}

/// The accuracy on one slice of the test data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceAccuracy {
    /// The slice.
    pub slice: Slice,
    /// The share of supervised positions answered right, or of whole examples in tasks scored by exact match.
    pub accuracy: f64,
    /// How many examples were scored.
    pub examples: usize,
    /// The cost, if the examples were read in segments through the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streamed: Option<Streamed>,
    /// The blocks that were read, if they were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
}

/// One evaluation on the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps taken.
    pub step: usize,
    /// The loss of that step.
    pub loss: f64,
    /// The accuracy of every slice.
    pub slices: Vec<SliceAccuracy>,
}

/// The mean accuracy over slices.
pub(crate) fn mean_accuracy(slices: &[SliceAccuracy]) -> f64 {
    slices.iter().map(|slice| slice.accuracy).sum::<f64>() / slices.len() as f64
}

impl CurvePoint {
    /// The mean accuracy over the slices.
    pub fn accuracy(&self) -> f64 {
        mean_accuracy(&self.slices)
    }
}

/// The mean accuracy of the last evaluation that came no later than `step`; 0 before the first.
pub(crate) fn accuracy_at(curve: &[CurvePoint], step: usize) -> f64 {
    curve.iter().rfind(|point| point.step <= step).map_or(0.0, CurvePoint::accuracy)
}

/// The result of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The hash of everything the result depends on.
    pub key: String,
    /// Who ran.
    pub contestant: String,
    /// Channels of the model.
    pub width: usize,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// The seed.
    pub seed: u64,
    /// The mean accuracy over the slices.
    pub accuracy: f64,
    /// The accuracy of every slice at the last evaluation.
    pub slices: Vec<SliceAccuracy>,
    /// The accuracy on the shortest tests where the state is cleared before the question: nothing is left but
    /// guessing. `None` for tasks that do not ask at the end, and for diverged runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<f64>,
    /// Whether the loss became NaN or infinite; the accuracies are then 0.
    pub diverged: bool,
    /// Whether the run was ended early because other learning rates did better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub halved: bool,
    /// Parameters of the model.
    pub parameters: usize,
    /// The state of one sequence after the longest test example.
    pub state: StateBytes,
    /// Steps taken; fewer than planned if the run stopped early.
    pub steps: usize,
    /// Tokens trained on per second, evaluations left out.
    pub training_tokens_per_second: f64,
    /// Median time of a decoding step of one sequence.
    pub step_microseconds: f64,
    /// Seconds spent on the run, evaluations included, interruptions left out.
    pub wall_seconds: f64,
    /// The evaluations on the way.
    pub curve: Vec<CurvePoint>,
    /// The form that every kind of layer took in training, and why; results from before it was recorded say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<String>,
    /// Where it ran.
    pub machine: Machine,
}

impl RunResult {
    /// The result without what differs between two runs of the same configuration: times and the
    /// machine.
    pub fn reproducible(&self) -> Self {
        let timeless = |streamed: Streamed| Streamed { seconds: 0.0, ..streamed };
        let untimed =
            |slice: &SliceAccuracy| SliceAccuracy { streamed: slice.streamed.map(timeless), ..*slice };
        let curve = self
            .curve
            .iter()
            .map(|point| CurvePoint { slices: point.slices.iter().map(untimed).collect(), ..point.clone() });
        Self {
            slices: self.slices.iter().map(untimed).collect(),
            curve: curve.collect(),
            training_tokens_per_second: 0.0,
            step_microseconds: 0.0,
            wall_seconds: 0.0,
            machine: Machine::default(),
            ..self.clone()
        }
    }
}
