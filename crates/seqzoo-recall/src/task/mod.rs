//! The tasks. Every example is a pure function of (seed, split, segment, index): reproducible
//! alone, independent of threads and order, generated and never downloaded.

mod batch;
mod copying;
mod draws;
mod example;
mod grid;
mod group;
mod haystack;
mod hidden;
mod induction;
mod law;
mod length_segment;
mod mqar;
mod needle;
mod passkey;
mod picture;
mod slice;
mod stacked_mqar;
mod state_tracking;
mod text;
mod text_needle;

pub(crate) use batch::line;
pub use batch::{Answer, Batch};
pub use copying::Copying;
pub use draws::{Coordinates, Draws, Split};
pub use example::Example;
pub use grid::NeedleTests;
pub use group::{Generators, Group};
pub use haystack::Haystack;
pub use induction::Induction;
pub use length_segment::LengthSegment;
pub use mqar::{Filler, Mqar, MqarSegment};
pub use needle::Needle;
pub use passkey::Passkey;
pub use slice::Slice;
pub use stacked_mqar::{StackedMqar, StackedSegment};
pub use state_tracking::StateTracking;
pub use text::{TextHaystack, ValueKind};
pub use text_needle::TextNeedle;

use crate::error::ensure;
use law::Law;
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
    /// A needle in a haystack.
    Needle(Needle),
    /// A pass key in written text.
    Passkey(Passkey),
    /// A needle in written text.
    TextNeedle(TextNeedle),
    /// Induction heads.
    Induction(Induction),
    /// Copying, plain and selective.
    Copying(Copying),
    /// Multi-query associative recall with key and value at the same position.
    StackedMqar(StackedMqar),
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
        (
            "needle",
            "needle in a haystack: a marked key and its values, hidden at a depth in filler and asked for at the end",
        ),
        ("passkey", "a number in a long repetitive text, byte by byte: what is the pass key?"),
        (
            "text_needle",
            "RULER's needles in written text, byte by byte: the special magic numbers, words or uuids of the keys asked for",
        ),
        (
            "induction",
            "induction heads: at a trigger, say what followed it when it first stood among random tokens",
        ),
        ("copying", "copying, plain or selective: symbols among noise, to be said in order at the end"),
        (
            "stacked_mqar",
            "multi-query associative recall with key and value in one token: the raw memory of one layer",
        ),
    ];

    /// The task's name among [`KINDS`](Self::KINDS).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mqar(_) => "mqar",
            Self::StateTracking(_) => "state_tracking",
            Self::Needle(_) => "needle",
            Self::Passkey(_) => "passkey",
            Self::TextNeedle(_) => "text_needle",
            Self::Induction(_) => "induction",
            Self::Copying(_) => "copying",
            Self::StackedMqar(_) => "stacked_mqar",
        }
    }

    /// The law that the task's data follow.
    fn law(&self) -> &dyn Law {
        match self {
            Self::Mqar(task) => task,
            Self::StateTracking(task) => task,
            Self::Needle(task) => task,
            Self::Passkey(task) => task,
            Self::TextNeedle(task) => task,
            Self::Induction(task) => task,
            Self::Copying(task) => task,
            Self::StackedMqar(task) => task,
        }
    }

    /// The number of tokens a model of this task must know.
    pub fn vocabulary(&self) -> usize {
        self.law().vocabulary()
    }

    /// The segments of a split, in order, and how many examples each has; a count of 0 is endless.
    pub fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        self.law().segments(split)
    }

    /// One example.
    pub fn example(&self, at: Coordinates) -> Example {
        self.law().example(at)
    }

    /// Whether an example counts as right only if all of its answers are (exact match); otherwise every
    /// answer counts by itself.
    pub fn whole(&self) -> bool {
        self.law().whole()
    }

    /// How many tokens, the first ones, are answers, where not all are: nothing else competes, in training as in
    /// tests.
    pub fn answer_tokens(&self) -> Option<usize> {
        self.law().answer_tokens()
    }

    /// The embedding that models of `width` channels have and keep, a row per token, in runs with `seed`. `None`: they
    /// learn one.
    pub fn embedding(&self, width: usize, seed: u64) -> Option<Vec<f32>> {
        self.law().embedding(width, seed)
    }

    /// Whether it asks once, at the end.
    pub fn asks_once(&self) -> bool {
        let at = Coordinates { seed: 0, split: Split::Test, segment: 0, index: 0 };
        self.example(at).question.is_some()
    }

    /// The accuracy of guessing, by what the guesser knows: a name and a value in `slice`.
    pub fn chance(&self, slice: Slice) -> Vec<(&'static str, f64)> {
        self.law().chance(slice)
    }

    /// An example for the eye.
    pub fn picture(&self, example: &Example) -> String {
        self.law().picture(example)
    }

    /// Says in one sentence what is wrong with the task, if anything is.
    pub fn check(&self) -> Result<(), String> {
        for (split, name) in [(Split::Train, "train"), (Split::Test, "test")] {
            ensure!(!self.segments(split).is_empty(), "there is no {name} segment; give at least one");
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
        self.law().check()?;
        ensure!(
            self.segments(Split::Test).iter().all(|(_, examples)| *examples > 0),
            "a test segment has no `examples`; say how many to score on"
        );
        Ok(())
    }

    /// Says in one sentence why no model of `width` channels can do the task, if that is so.
    pub fn check_width(&self, width: usize) -> Result<(), String> {
        self.law().check_width(width)
    }
}
