//! Recall tasks. Every example is a pure function of (seed, split, segment, index): reproducible
//! alone, independent of threads and order, generated and never downloaded.

mod batch;
mod draws;
mod example;
mod mqar;

pub use batch::Batch;
pub use draws::{Coordinates, Draws, Split};
pub use example::Example;
pub use mqar::{Filler, Mqar, MqarSegment};

use serde::{Deserialize, Serialize};

/// Any task of the suite, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Multi-query associative recall.
    Mqar(Mqar),
}

/// What is known of a segment: examples of one length and difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slice {
    /// Tokens per example.
    pub length: usize,
    /// Key-value pairs to remember.
    pub pairs: usize,
}

impl std::fmt::Display for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pairs in {}", self.pairs, self.length)
    }
}

impl Task {
    /// The names of all tasks, with a line about each.
    pub const KINDS: &'static [(&'static str, &'static str)] = &[(
        "mqar",
        "multi-query associative recall: remember key-value pairs, answer queries in between filler",
    )];

    /// The number of tokens a model of this task must know.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Mqar(task) => task.vocabulary(),
        }
    }

    /// The segments of a split, in order, and how many examples each has; a count of 0 is endless.
    pub fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        match self {
            Self::Mqar(task) => {
                task.segments(split).iter().map(|segment| (segment.slice(), segment.examples)).collect()
            }
        }
    }

    /// One example.
    pub fn example(&self, at: Coordinates) -> Example {
        match self {
            Self::Mqar(task) => task.example(at),
        }
    }

    /// The accuracy of guessing, by what the guesser knows: a name and a value in `slice`.
    pub fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        match self {
            Self::Mqar(task) => task.chance(slice),
        }
    }

    /// An example for the eye.
    pub fn picture(&self, example: &Example) -> String {
        match self {
            Self::Mqar(task) => task.picture(example),
        }
    }

    /// Says in one sentence what is wrong with the task, if anything is.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Mqar(task) => task.check(),
        }
    }
}
