//! What a layer must be able to do, and what it must not: a mistake in a layer's mathematics shows
//! as a failure to recall, a mistake in the task as a success of those who cannot.

use super::Experiment;
use crate::results::Standing;
use crate::task::{Slice, Split};
use serde::{Deserialize, Serialize};

/// A bound on the accuracy of a contestant: the median over seeds at its best learning rate, at its
/// largest width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The contestant.
    pub contestant: String,
    /// The slices with this many pairs; all where absent.
    #[serde(default)]
    pub pairs: Option<usize>,
    /// The slices of this length; all where absent.
    #[serde(default)]
    pub length: Option<usize>,
    /// It must reach this.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// It must not exceed this: a negative control.
    #[serde(default)]
    pub at_most: Option<f64>,
}

/// An expectation and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was expected.
    pub expectation: Expectation,
    /// The accuracy found; nothing where no run has finished.
    pub found: Option<f64>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Holds,
    /// The accuracy is not in its bounds.
    Fails,
    /// A run has lost its way: its accuracy says nothing of the layer.
    Diverged,
    /// Runs of the contestant are missing.
    Unfinished,
}

impl Verdict {
    /// Whether the expectation holds.
    pub fn holds(&self) -> bool {
        self.outcome == Outcome::Holds
    }
}

impl Expectation {
    pub(super) fn check(&self, experiment: &Experiment) -> Result<(), String> {
        let name = &self.contestant;
        if !experiment.contestants.iter().any(|contestant| contestant.name == *name) {
            return Err(format!("an expectation names `{name}`, which is no contestant"));
        }
        if self.at_least.is_none() && self.at_most.is_none() {
            return Err(format!("the expectation of `{name}` says neither `at_least` nor `at_most`"));
        }
        let is_accuracy = |bound: Option<f64>| bound.is_none_or(|bound| (0.0..=1.0).contains(&bound));
        if !is_accuracy(self.at_least)
            || !is_accuracy(self.at_most)
            || self.at_least.zip(self.at_most).is_some_and(|(least, most)| least > most)
        {
            return Err(format!(
                "the expectation of `{name}` wants accuracies from 0 to 1, `at_least` not above `at_most`"
            ));
        }
        let known = experiment.task.segments(Split::Test);
        if !known.iter().any(|(slice, _)| self.covers(slice)) {
            return Err(format!(
                "the expectation of `{name}` wants {}, which no test segment has",
                self.slices()
            ));
        }
        Ok(())
    }

    /// Whether it speaks of `slice`.
    fn covers(&self, slice: &Slice) -> bool {
        self.pairs.is_none_or(|pairs| slice.pairs == Some(pairs))
            && self.length.is_none_or(|length| slice.length == length)
    }

    /// Which slices it speaks of, in words; nothing for all.
    fn slices(&self) -> String {
        match (self.pairs, self.length) {
            (Some(pairs), Some(length)) => format!("{pairs} pairs in {length}"),
            (Some(pairs), None) => format!("{pairs} pairs"),
            (None, Some(length)) => format!("length {length}"),
            (None, None) => String::new(),
        }
    }

    /// The bound in words.
    pub fn bound(&self) -> String {
        let slices = self.slices();
        let slice = if slices.is_empty() { slices } else { format!(" at {slices}") };
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) => format!("{least} to {most}{slice}"),
            (Some(least), None) => format!("at least {least}{slice}"),
            (None, Some(most)) => format!("at most {most}{slice}"),
            (None, None) => String::new(),
        }
    }

    fn verdict(&self, standings: &[Standing], finished: bool) -> Verdict {
        let widest = standings
            .iter()
            .filter(|standing| standing.contestant == self.contestant)
            .max_by_key(|standing| standing.width);
        let accuracies: Vec<f64> = widest
            .iter()
            .flat_map(|standing| &standing.slices)
            .filter(|entry| self.covers(&entry.slice))
            .map(|entry| entry.median)
            .collect();
        let found = match accuracies.is_empty() {
            true => None,
            false => Some(accuracies.iter().sum::<f64>() / accuracies.len() as f64),
        };
        let holds = found.is_some_and(|found| {
            self.at_least.is_none_or(|least| found >= least) && self.at_most.is_none_or(|most| found <= most)
        });
        let outcome = match widest {
            _ if !finished => Outcome::Unfinished,
            Some(standing) if standing.diverged > 0 => Outcome::Diverged,
            _ if holds => Outcome::Holds,
            _ => Outcome::Fails,
        };
        Verdict { expectation: self.clone(), found, outcome }
    }
}

/// What became of all expectations of `experiment`, given where its contestants stand and who of them
/// has `finished` all runs.
pub fn verdicts(
    experiment: &Experiment,
    standings: &[Standing],
    finished: impl Fn(&str) -> bool,
) -> Vec<Verdict> {
    let judge = |expectation: &Expectation| expectation.verdict(standings, finished(&expectation.contestant));
    experiment.expectations.iter().map(judge).collect()
}
