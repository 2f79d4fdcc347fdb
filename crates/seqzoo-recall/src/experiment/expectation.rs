//! Bounds on accuracies: a mistake in a layer's mathematics shows as a failure to recall, a mistake in the task
//! as a success of a layer that cannot recall.

use super::Experiment;
use crate::error::ensure;
use crate::task::{Slice, Split};
use serde::{Deserialize, Serialize};

/// A bound on the accuracy of a contestant: the median over seeds at its best learning rate, at its
/// largest width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The contestant.
    pub contestant: String,
    /// The slices with this many pairs. `None`: all.
    #[serde(default)]
    pub pairs: Option<usize>,
    /// The slices of this length. `None`: all.
    #[serde(default)]
    pub length: Option<usize>,
    /// It must reach this.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// It must not exceed this: a negative control.
    #[serde(default)]
    pub at_most: Option<f64>,
}

impl Expectation {
    pub(super) fn check(&self, experiment: &Experiment) -> Result<(), String> {
        let name = &self.contestant;
        ensure!(
            experiment.contestants.iter().any(|contestant| contestant.name == *name),
            "an expectation names `{name}`, which is no contestant"
        );
        ensure!(
            self.at_least.is_some() || self.at_most.is_some(),
            "the expectation of `{name}` says neither `at_least` nor `at_most`"
        );
        let is_accuracy = |bound: Option<f64>| bound.is_none_or(|bound| (0.0..=1.0).contains(&bound));
        let crossed = self.at_least.zip(self.at_most).is_some_and(|(least, most)| least > most);
        ensure!(
            is_accuracy(self.at_least) && is_accuracy(self.at_most) && !crossed,
            "the expectation of `{name}` wants accuracies from 0 to 1, `at_least` not above `at_most`"
        );
        let slices = experiment.task.segments(Split::Test);
        ensure!(
            slices.iter().any(|(slice, _)| self.covers(slice)),
            "the expectation of `{name}` wants {}, which no test segment has",
            self.slices()
        );
        Ok(())
    }

    /// Whether it speaks of `slice`.
    pub(crate) fn covers(&self, slice: &Slice) -> bool {
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

    /// Whether `accuracy` is within the bounds.
    pub(crate) fn allows(&self, accuracy: f64) -> bool {
        self.at_least.is_none_or(|least| accuracy >= least)
            && self.at_most.is_none_or(|most| accuracy <= most)
    }
}
