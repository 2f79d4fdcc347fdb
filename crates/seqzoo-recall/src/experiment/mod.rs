//! Experiments as data: a task, a training recipe, contestants and what is expected of them.

mod contestant;
mod expectation;
mod file;
mod run;
mod tiers;
mod training;

pub use contestant::{Contestant, Layer, ModelSettings};
pub use expectation::{Expectation, Outcome, Verdict, verdicts};
pub use run::{RunConfig, runs};
pub use tiers::{TIERS, Tier, tier};
pub use training::{Batching, Data, Decay, Moment, Schedule, StopRule, Training};

use crate::Error;
use crate::task::{Filler, Task};
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
    /// What is to be learned.
    pub task: Task,
    /// What all contestants have in common.
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
    /// The law of the data, in a few words: it decides what numbers may be compared.
    pub fn mode(&self) -> &'static str {
        let fixed = matches!(self.training.data, Data::Fixed { .. });
        let task = match &self.task {
            Task::Mqar(task) => task,
            Task::StateTracking(_) => return if fixed { "fixed" } else { "fresh" },
        };
        let reserved = matches!(task.filler, Filler::Reserved(_));
        let epochs = self.training.schedule == Schedule::EpochCosine;
        let segments = task.train.iter().chain(&task.test);
        let published =
            task.power_a == 0.01 && segments.into_iter().all(|segment| task.vocab_size > segment.length);
        match (fixed && epochs && published, task.shuffle_queries, reserved) {
            (true, false, false) => "zoology-compatible",
            (false, true, true) => "clean",
            _ => "custom",
        }
    }

    /// What makes this experiment another one than `held`: a setting that differs, or runs that it no
    /// longer wants. More seeds, learning rates, widths and contestants do not.
    pub fn departs_from(&self, held: &Self) -> Option<&'static str> {
        let parts = [
            ("`task` settings", self.task != held.task),
            ("`training` settings", self.training != held.training),
            ("`model` settings", self.model.without_widths() != held.model.without_widths()),
            ("`seeds`", lacks(&held.seeds, &self.seeds)),
            ("`learning_rates`", lacks(&held.learning_rates, &self.learning_rates)),
            ("`model.widths`", lacks(&held.model.widths, &self.model.widths)),
            ("`contestants`", lacks(&held.contestants, &self.contestants)),
        ];
        parts.into_iter().find(|(_, differs)| *differs).map(|(part, _)| part)
    }

    /// Checks everything that can be checked before the first run, the layers included.
    ///
    /// # Errors
    ///
    /// If the experiment cannot be run, saying what to change.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |problem: String| Error::Experiment { experiment: self.name.clone(), problem };
        let unless = |holds: bool, problem: &str| if holds { Ok(()) } else { Err(fail(problem.to_string())) };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        unless(
            !self.name.is_empty() && self.name.chars().all(plain) && !self.name.starts_with('.'),
            "its name becomes a directory; use letters, digits, `-`, `_` and `.`",
        )?;
        unless(!self.seeds.is_empty(), "`seeds` is empty; give at least one")?;
        unless(!self.learning_rates.is_empty(), "`learning_rates` is empty; give at least one")?;
        unless(
            self.learning_rates.iter().all(|rate| rate.is_finite() && *rate > 0.0),
            "every learning rate must be a number above 0",
        )?;
        unless(!repeats(&self.seeds), "a seed is named twice in `seeds`; the same run twice proves nothing")?;
        unless(!repeats(&self.learning_rates), "a rate is named twice in `learning_rates`")?;
        unless(!repeats(&self.model.widths), "a width is named twice in `model.widths`")?;
        unless(!self.contestants.is_empty(), "there is no `[[contestants]]`; name at least one")?;
        self.task.check().map_err(fail)?;
        self.training.check(&self.task).map_err(fail)?;
        self.model.check().map_err(fail)?;
        for (index, contestant) in self.contestants.iter().enumerate() {
            let twice = self.contestants[..index].iter().any(|other| other.name == contestant.name);
            unless(!twice, &format!("two contestants are called `{}`", contestant.name))?;
            for width in &self.model.widths {
                contestant
                    .check(*width)
                    .map_err(|problem| fail(format!("the contestant `{}`: {problem}", contestant.name)))?;
            }
        }
        for expectation in &self.expectations {
            expectation.check(self).map_err(fail)?;
        }
        Ok(())
    }
}

fn repeats<T: PartialEq>(all: &[T]) -> bool {
    (1..all.len()).any(|index| all[..index].contains(&all[index]))
}

/// Whether `new` lacks any of `held`.
fn lacks<T: PartialEq>(held: &[T], new: &[T]) -> bool {
    held.iter().any(|each| !new.contains(each))
}
