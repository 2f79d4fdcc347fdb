//! The outcomes of an experiment's expectations.

use super::Standing;
use crate::experiment::{Expectation, Experiment};
use serde::{Deserialize, Serialize};

/// An expectation and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The expectation.
    pub expectation: Expectation,
    /// The accuracy found. `None`: no run has finished.
    pub found: Option<f64>,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Holds,
    /// The accuracy is not in its bounds.
    Fails,
    /// A run diverged: its accuracy says nothing about the layer.
    Diverged,
    /// Runs of the contestant are missing.
    Unfinished,
}

impl Verdict {
    /// Whether the expectation holds.
    pub fn holds(&self) -> bool {
        self.outcome == Outcome::Holds
    }

    /// Judges `expectation` by the contestant's standing at its largest width.
    fn new(expectation: &Expectation, standings: &[Standing], finished: bool) -> Self {
        let widest = standings
            .iter()
            .filter(|standing| standing.contestant == expectation.contestant)
            .max_by_key(|standing| standing.width);
        let accuracies: Vec<f64> = widest
            .iter()
            .flat_map(|standing| &standing.slices)
            .filter(|entry| expectation.covers(&entry.slice))
            .map(|entry| entry.median)
            .collect();
        let found = match accuracies.is_empty() {
            true => None,
            false => Some(accuracies.iter().sum::<f64>() / accuracies.len() as f64),
        };
        let outcome = match widest {
            _ if !finished => Outcome::Unfinished,
            Some(standing) if standing.diverged > 0 => Outcome::Diverged,
            _ if found.is_some_and(|found| expectation.allows(found)) => Outcome::Holds,
            _ => Outcome::Fails,
        };
        Self { expectation: expectation.clone(), found, outcome }
    }
}

/// The verdicts on all expectations of `experiment`, given where its contestants stand and who of them
/// has `finished` all runs.
pub fn verdicts(
    experiment: &Experiment,
    standings: &[Standing],
    finished: impl Fn(&str) -> bool,
) -> Vec<Verdict> {
    let judge =
        |expectation: &Expectation| Verdict::new(expectation, standings, finished(&expectation.contestant));
    experiment.expectations.iter().map(judge).collect()
}
