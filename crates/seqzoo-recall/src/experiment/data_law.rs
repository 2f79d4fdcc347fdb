//! The law of the data.

use super::{Data, Experiment, Schedule};
use crate::task::{Filler, Mqar, Task};
use std::fmt::{Display, Formatter, Result};

/// The law of the data, which decides which numbers may be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLaw {
    /// Recall without shortcuts: fresh examples, shuffled queries, filler that is no key.
    Clean,
    /// Recall as Zoology publishes it.
    ZoologyCompatible,
    /// Any other task on fresh examples.
    Fresh,
    /// Any other task on a fixed set.
    Fixed,
    /// Recall by any other law.
    Custom,
}

impl Experiment {
    /// The law of its data.
    pub fn data_law(&self) -> DataLaw {
        let fixed = matches!(self.training.data, Data::Fixed { .. });
        match (&self.task, fixed) {
            (Task::Mqar(task), _) => {
                let epochs = self.training.schedule == Schedule::EpochCosine;
                let reserved = matches!(task.filler, Filler::Reserved(_));
                match (fixed && epochs && has_published_slots(task), task.shuffle_queries, reserved) {
                    (true, false, false) => DataLaw::ZoologyCompatible,
                    (false, true, true) => DataLaw::Clean,
                    _ => DataLaw::Custom,
                }
            }
            (_, false) => DataLaw::Fresh,
            (_, true) => DataLaw::Fixed,
        }
    }
}

/// Whether the queries are placed by Zoology's law, in sequences that its generator would take, and no key is bound
/// again.
fn has_published_slots(task: &Mqar) -> bool {
    let mut segments = task.train.iter().chain(&task.test);
    task.power_a == 0.01 && segments.all(|segment| task.vocab_size > segment.length && segment.updates == 0)
}

impl DataLaw {
    /// The law in a sentence without its beginning.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Clean => {
                "every step sees new examples, queries come in random order, filler is an alphabet of its own."
            }
            Self::ZoologyCompatible => "a fixed set in a fixed order, early pairs mostly asked early.",
            Self::Fresh => "every step sees new examples.",
            Self::Fixed => "a fixed set in a fixed order.",
            Self::Custom => "see the configuration below for its law.",
        }
    }
}

impl Display for DataLaw {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Clean => "clean",
            Self::ZoologyCompatible => "zoology-compatible",
            Self::Fresh => "fresh",
            Self::Fixed => "fixed",
            Self::Custom => "custom",
        })
    }
}
