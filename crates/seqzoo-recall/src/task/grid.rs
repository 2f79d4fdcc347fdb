//! The segments of tasks with a needle: lengths to train on, and a grid of lengths and depths to test.

use super::{LengthSegment, Slice, Split};
use crate::error::ensure;
use serde::{Deserialize, Serialize};

/// More depths are taken for a mistake.
const MAX_DEPTHS: usize = 101;

/// More lengths are taken for a mistake.
const MAX_LENGTHS: usize = 64;

/// The grid of test examples: every length at every depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeedleTests {
    /// Tokens per example, the question included.
    pub lengths: Vec<usize>,
    /// How many depths there are, evenly from the start (0 %) to the question (100 %). 0: needles lie anywhere.
    pub depths: usize,
    /// Examples of every cell.
    pub examples: usize,
}

impl NeedleTests {
    /// The number of cells of one length.
    fn depths(&self) -> usize {
        self.depths.clamp(1, MAX_DEPTHS)
    }

    /// The depth of a cell, in per cent.
    fn depth(&self, cell: usize) -> Option<usize> {
        let last = self.depths() - 1;
        (last > 0).then(|| (200 * (cell % self.depths()) + last) / (2 * last))
    }
}

/// The part of `filler` that lies before a needle at `depth` per cent, rounded.
pub(super) fn offset(filler: usize, depth: usize) -> usize {
    (filler * depth + 50) / 100
}

/// All segments of such a task: test cells come length by length.
pub(super) struct Grid<'a> {
    pub(super) train: &'a [LengthSegment],
    pub(super) test: &'a NeedleTests,
}

impl Grid<'_> {
    /// The slice of a segment.
    pub(super) fn slice(&self, split: Split, segment: usize) -> Slice {
        match split {
            Split::Train => Slice::of_length(self.train[segment].length),
            Split::Test => Slice {
                depth: self.test.depth(segment),
                ..Slice::of_length(self.test.lengths[segment / self.test.depths()])
            },
        }
    }

    /// The segments of a split, and how many examples each has.
    pub(super) fn segments(&self, split: Split) -> Vec<(Slice, usize)> {
        let examples = |segment: usize| match split {
            Split::Train => self.train[segment].examples,
            Split::Test => self.test.examples,
        };
        let count = match split {
            Split::Train => self.train.len(),
            Split::Test => self.test.lengths.len().min(MAX_LENGTHS) * self.test.depths(),
        };
        (0..count).map(|segment| (self.slice(split, segment), examples(segment))).collect()
    }

    /// The lengths of all segments.
    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.train.iter().map(|segment| segment.length).chain(self.test.lengths.iter().copied())
    }

    /// Says in one sentence what is wrong with the segments, if anything is. `has_depth`: whether one needle alone
    /// answers the question, so that its depth means something. `least`: the length of an example without filler, in
    /// `unit`.
    pub(super) fn check(&self, has_depth: bool, least: usize, unit: &str) -> Result<(), String> {
        let NeedleTests { lengths, depths, .. } = self.test;
        ensure!(
            *depths != 1 && *depths <= MAX_DEPTHS,
            "test.depths = {depths}, but 2 to {MAX_DEPTHS} are wanted, or 0 for needles anywhere"
        );
        ensure!(
            *depths == 0 || has_depth,
            "several needles answer the question, so that no depth is theirs; set test.depths = 0"
        );
        for length in self.lengths() {
            ensure!(
                length >= least,
                "a segment has length {length}, but needles and question alone are {least} {unit}"
            );
        }
        let count = lengths.len();
        ensure!(
            count <= MAX_LENGTHS,
            "test.lengths has {count} lengths, but at most {MAX_LENGTHS} are wanted"
        );
        let repeated = (1..count).any(|end| lengths[..end].contains(&lengths[end]));
        ensure!(!repeated, "a length is named twice in test.lengths");
        Ok(())
    }
}
