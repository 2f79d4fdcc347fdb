//! The tasks. Every example is a pure function of (seed, split, segment, index): reproducible
//! alone, independent of threads and order, generated and never downloaded.

mod batch;
mod draws;
mod example;
mod group;
mod mqar;
mod state_tracking;

pub use batch::Batch;
pub use draws::{Coordinates, Draws, Split};
pub use example::Example;
pub use group::{Generators, Group};
pub use mqar::{Filler, Mqar, MqarSegment};
pub use state_tracking::{StateTracking, StateTrackingSegment};

use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// Longer examples are taken for a mistake.
const MAX_LENGTH: usize = 1 << 24;

/// More tokens in the vocabulary are taken for a mistake.
const MAX_TOKENS: usize = 1 << 24;

/// More examples of a segment are taken for a mistake.
const MAX_SEGMENT: usize = 1 << 32;

/// Any task of the suite, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Multi-query associative recall.
    Mqar(Mqar),
    /// The word problem of a group.
    StateTracking(StateTracking),
}

/// Examples of one length and difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slice {
    /// Tokens per example.
    pub length: usize,
    /// Key-value pairs to remember, in tasks that have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
}

impl Slice {
    /// Grows from the easy slices of a task to the hard ones: the pairs, or else the length.
    pub fn difficulty(&self) -> usize {
        self.pairs.unwrap_or(self.length)
    }
}

impl std::fmt::Display for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pairs {
            Some(pairs) => write!(f, "{pairs} pairs in {}", self.length),
            None => write!(f, "length {}", self.length),
        }
    }
}

impl Task {
    /// The names of all tasks, with a line about each.
    pub const KINDS: &'static [(&'static str, &'static str)] = &[
        (
            "mqar",
            "multi-query associative recall: remember key-value pairs, answer queries in between filler",
        ),
        (
            "state_tracking",
            "the word problem of a group: after every token, what have the tokens multiplied to so far?",
        ),
    ];

    /// The task's name among [`KINDS`](Self::KINDS).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mqar(_) => "mqar",
            Self::StateTracking(_) => "state_tracking",
        }
    }

    /// The number of tokens a model of this task must know.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Mqar(task) => task.vocabulary(),
            Self::StateTracking(task) => task.vocabulary(),
        }
    }

    /// The segments of a split, in order, and how many examples each has; a count of 0 is endless.
    pub fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        match self {
            Self::Mqar(task) => {
                task.segments(split).iter().map(|segment| (segment.slice(), segment.examples)).collect()
            }
            Self::StateTracking(task) => {
                task.segments(split).iter().map(|segment| (segment.slice(), segment.examples)).collect()
            }
        }
    }

    /// One example.
    pub fn example(&self, at: Coordinates) -> Example {
        match self {
            Self::Mqar(task) => task.example(at),
            Self::StateTracking(task) => task.example(at),
        }
    }

    /// The accuracy of guessing, by what the guesser knows: a name and a value in `slice`.
    pub fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        match self {
            Self::Mqar(task) => task.chance(slice),
            Self::StateTracking(task) => task.chance(),
        }
    }

    /// An example for the eye.
    pub fn picture(&self, example: &Example) -> String {
        match self {
            Self::Mqar(task) => task.picture(example),
            Self::StateTracking(task) => task.picture(example),
        }
    }

    /// Says in one sentence what is wrong with the task, if anything is.
    pub fn check(&self) -> Result<(), String> {
        for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
            ensure!(
                !self.segments(split).is_empty(),
                "there is no {name} segment; give at least one `[[task.{name}]]`"
            );
        }
        for (slice, examples) in
            [Split::Train, Split::Test].into_iter().flat_map(|split| self.segments(split))
        {
            let length = slice.length;
            ensure!(
                length <= MAX_LENGTH,
                "a segment has length {length}, but at most {MAX_LENGTH} tokens are wanted"
            );
            ensure!(
                examples <= MAX_SEGMENT,
                "a segment has {examples} examples, but at most {MAX_SEGMENT} are wanted"
            );
        }
        match self {
            Self::Mqar(task) => task.check()?,
            Self::StateTracking(task) => task.check()?,
        }
        ensure!(
            self.segments(Split::Test).iter().all(|(_, examples)| *examples > 0),
            "a test segment has no `examples`; say how many to score on"
        );
        Ok(())
    }
}
