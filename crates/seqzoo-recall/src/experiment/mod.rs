//! Experiments as data: a task, a training recipe, contestants and what is expected of them.

mod budget;
mod contestant;
mod data_law;
mod expectation;
mod file;
mod run;
mod shard;
mod shipped;
mod size;
mod step_plan;
mod training;
mod unit;

pub use contestant::{Contestant, Layer, ModelSettings, Retrieval};
pub use data_law::DataLaw;
pub use expectation::Expectation;
pub use run::{RunConfig, runs};
pub use shard::Shard;
pub use shipped::{SHIPPED, Shipped};
pub use step_plan::StepPlan;
pub use training::{Batching, Data, Decay, Precision, Schedule, StopRule, Training};
pub use unit::{Bracket, Unit, units};

use crate::Error;
use crate::error::ensure;
use crate::task::Task;
use seqzoo::check_floats;
use serde::{Deserialize, Serialize};

/// Everything that one `recall run` does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// A short name, also that of its directory.
    pub name: String,
    /// One or two sentences for the report.
    #[serde(default)]
    pub description: String,
    /// Every run is repeated with each seed.
    pub seeds: Vec<u64>,
    /// Every run is repeated with each learning rate; the best one is reported, and the whole row.
    pub learning_rates: Vec<f64>,
    /// Bytes of state for every contestant that leaves an option to be solved for and names none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<usize>,
    /// Successive halving: after these fractions of the steps, at the next evaluation, the worse half of every
    /// contestant's learning rates ends. Empty: all rates run to their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halving: Vec<f64>,
    /// The task to learn.
    pub task: Task,
    /// The settings that all contestants share.
    pub model: ModelSettings,
    /// How they learn.
    pub training: Training,
    /// Who takes part.
    pub contestants: Vec<Contestant>,
    /// Which accuracies must be reached, and which must not.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
}

impl Experiment {
    /// The first difference that makes this experiment another one than `held`: a setting that differs, or runs
    /// that it no longer wants. More seeds, learning rates, widths and contestants do not.
    pub fn departs_from(&self, held: &Self) -> Option<&'static str> {
        let parts = [
            ("`task` settings", self.task != held.task),
            ("`training` settings", self.training != held.training),
            ("`model` settings", self.model.without_widths() != held.model.without_widths()),
            ("`halving`", self.halving != held.halving),
            ("`seeds`", lacks(&held.seeds, &self.seeds)),
            ("`learning_rates`", lacks(&held.learning_rates, &self.learning_rates)),
            ("`model.widths`", lacks(&held.model.widths, &self.model.widths)),
            ("`contestants`", held.contestants.iter().any(|each| !self.keeps(held, each))),
        ];
        parts.into_iter().find(|(_, differs)| *differs).map(|(part, _)| part)
    }

    fn check_halving(&self) -> Result<(), String> {
        let rising = self.halving.windows(2).all(|two| two[0] < two[1]);
        ensure!(
            rising && self.halving.iter().all(|fraction| (0.0..1.0).contains(fraction) && *fraction > 0.0),
            "`halving` holds fractions of the steps: above 0, below 1, rising"
        );
        Ok(())
    }

    /// The learning rates of a contestant.
    pub fn rates<'a>(&'a self, contestant: &'a Contestant) -> &'a [f64] {
        match contestant.learning_rates.as_slice() {
            [] => &self.learning_rates,
            own => own,
        }
    }

    /// The widths that a contestant is tried at.
    pub fn widths<'a>(&'a self, contestant: &'a Contestant) -> &'a [usize] {
        contestant.width.as_ref().map_or(self.model.widths.as_slice(), std::slice::from_ref)
    }

    /// Whether it wants all runs that `held` has of `contestant`.
    fn keeps(&self, held: &Self, contestant: &Contestant) -> bool {
        let same = |other: &&Contestant| {
            (&other.name, &other.layers, other.width, &other.retrieval)
                == (&contestant.name, &contestant.layers, contestant.width, &contestant.retrieval)
        };
        let found = self.contestants.iter().find(same);
        found.is_some_and(|found| !lacks(held.rates(contestant), self.rates(found)))
    }

    /// Checks everything that can be checked before the first run, the layers included.
    ///
    /// # Errors
    ///
    /// If the experiment cannot be run, saying what to change.
    pub fn check(&self) -> Result<(), Error> {
        self.try_check().map_err(|problem| Error::Experiment { experiment: self.name.clone(), problem })
    }

    fn try_check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(
            !self.name.is_empty() && self.name.chars().all(plain) && !self.name.starts_with('.'),
            "its name becomes a directory; use letters, digits, `-`, `_` and `.`"
        );
        ensure!(!self.seeds.is_empty(), "`seeds` is empty; give at least one");
        ensure!(!self.learning_rates.is_empty(), "`learning_rates` is empty; give at least one");
        check_rates(&self.learning_rates)?;
        ensure!(!repeats(&self.seeds), "a seed is named twice in `seeds`; the same run twice proves nothing");
        ensure!(!repeats(&self.model.widths), "a width is named twice in `model.widths`");
        ensure!(!self.contestants.is_empty(), "there is no `[[contestants]]`; name at least one");
        self.task.check()?;
        self.training.check(&self.task)?;
        self.model.check()?;
        self.check_halving()?;
        for (index, contestant) in self.contestants.iter().enumerate() {
            let name = &contestant.name;
            let twice = self.contestants[..index].iter().any(|other| other.name == *name);
            ensure!(!twice, "two contestants are called `{name}`");
            // An open size is checked once it is found.
            let widths = if Self::is_open(contestant) { &[] } else { self.widths(contestant) };
            for width in widths {
                self.check_contestant(contestant, *width)
                    .map_err(|problem| format!("the contestant `{name}`: {problem}"))?;
            }
        }
        self.expectations.iter().try_for_each(|expectation| expectation.check(self))?;
        check_floats(&self.name, self).map_err(|error| error.to_string())
    }
}

/// Says what is wrong with learning rates, if anything is.
fn check_rates(rates: &[f64]) -> Result<(), String> {
    ensure!(
        rates.iter().all(|rate| rate.is_finite() && *rate > 0.0),
        "every learning rate must be a number above 0"
    );
    ensure!(!repeats(rates), "a rate is named twice in `learning_rates`");
    Ok(())
}

fn repeats<T: PartialEq>(all: &[T]) -> bool {
    (1..all.len()).any(|index| all[..index].contains(&all[index]))
}

/// Whether `new` lacks any of `held`.
fn lacks<T: PartialEq>(held: &[T], new: &[T]) -> bool {
    held.iter().any(|each| !new.contains(each))
}
