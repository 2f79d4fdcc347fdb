//! How far a run is: what a checkpoint holds beside parameters, optimizer and step.

use crate::experiment::RunConfig;
use crate::results::CurvePoint;
use serde::{Deserialize, Serialize};

/// How far a run is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The evaluations so far.
    pub curve: Vec<CurvePoint>,
    /// Seconds spent in training steps.
    pub training_seconds: f64,
    /// Tokens trained on.
    pub tokens: usize,
    /// Seconds spent on everything.
    pub wall_seconds: f64,
    /// Whether the loss has become NaN or infinite.
    pub diverged: bool,
}

impl Progress {
    /// Whether the run ends before its last step.
    pub(super) fn finished(&self, run: &RunConfig) -> bool {
        let learned = match (run.training.stop_when, self.curve.last()) {
            (Some(rule), Some(point)) => {
                let accuracies: Vec<f64> = point.slices.iter().map(|slice| slice.accuracy).collect();
                rule.reached(&accuracies)
            }
            _ => false,
        };
        learned || self.diverged
    }
}
