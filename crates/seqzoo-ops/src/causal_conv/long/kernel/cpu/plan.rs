//! Which outputs are made together, and how.

use super::transform::length_from;
use std::collections::BTreeMap;

/// Extents of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub batch: usize,
    /// Inputs before the first token, and tokens.
    pub entries: usize,
    pub time: usize,
    pub channels: usize,
    pub taps: usize,
}

impl Extents {
    /// The first input of a piece among the entries of all sequences.
    pub fn entry(&self, piece: &Piece) -> usize {
        piece.row * self.entries + piece.first
    }

    /// The first output of a piece among the tokens of all sequences.
    pub fn output(&self, piece: &Piece) -> usize {
        piece.row * self.time + piece.from - (self.entries - self.time)
    }
}

/// How the outputs of a piece are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    /// The sum itself.
    Sum,
    /// A transform of so many numbers.
    Transform(usize),
}

/// Outputs that are made together, all of one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The sequence of the batch.
    pub row: usize,
    /// The first entry that the outputs depend on.
    pub first: usize,
    /// The entry of the first output.
    pub from: usize,
    /// The entry after the last output.
    pub to: usize,
}

impl Piece {
    pub fn outputs(&self) -> usize {
        self.to - self.from
    }

    /// Entries that the outputs depend on.
    pub fn inputs(&self) -> usize {
        self.to - self.first
    }
}

/// Pieces that one filter serves: so many taps of it.
#[derive(Debug)]
pub(super) struct Group {
    pub method: Method,
    pub taps: usize,
    pub pieces: Vec<Piece>,
}

impl Group {
    /// Numbers in the window of a piece: its inputs stand at the end, after zeros.
    pub fn window(&self, piece: &Piece) -> usize {
        match self.method {
            Method::Sum => piece.outputs() + self.taps - 1,
            Method::Transform(length) => length,
        }
    }

    pub fn longest_window(&self) -> usize {
        self.pieces.iter().map(|piece| self.window(piece)).max().unwrap_or(0)
    }

    pub fn most_outputs(&self) -> usize {
        self.pieces.iter().map(Piece::outputs).max().unwrap_or(0)
    }
}

/// All pieces of a call. They cover every token once.
#[derive(Debug)]
pub(super) struct Plan {
    pub groups: Vec<Group>,
    work: f64,
}

impl Plan {
    /// `resets` says where a segment begins, by sequence and token.
    pub fn new(extents: &Extents, resets: impl Fn(usize, usize) -> bool) -> Self {
        let past = extents.entries - extents.time;
        let (mut groups, mut work) = (BTreeMap::<(Method, usize), Vec<Piece>>::new(), 0.0);
        for row in 0..extents.batch {
            let mut start = 0;
            for token in 0..=extents.time {
                let end = past + token;
                if token < extents.time && !resets(row, token) {
                    continue;
                }
                let from = start.max(past);
                if from < end {
                    let taps = extents.taps.min(end - start);
                    let choice = Choice::best(end - from, taps);
                    work += choice.work;
                    let pieces = groups.entry((choice.method, taps)).or_default();
                    pieces.extend((from..end).step_by(choice.outputs).map(|from| Piece {
                        row,
                        first: start.max((from + 1).saturating_sub(taps)),
                        from,
                        to: end.min(from + choice.outputs),
                    }));
                }
                start = end;
            }
        }
        let groups = groups.into_iter().map(|((method, taps), pieces)| Group { method, taps, pieces });
        Self { groups: groups.collect(), work }
    }

    /// How much there is to do per channel: about so many multiply-adds.
    pub fn work(&self) -> f64 {
        self.work
    }
}

/// A way to make the outputs of a segment.
#[derive(Clone, Copy, Debug)]
struct Choice {
    method: Method,
    /// Outputs of a piece.
    outputs: usize,
    work: f64,
}

/// The work of a block, two transforms of `n` numbers, is about that of `n log2(n)` times this many multiply-adds of a sum. It
/// says where direct sums end, not what is computed.
const TRANSFORM: f64 = 6.0;

/// Sums of one piece, at least: their window stays in the cache.
const SUMS: usize = 1024;

impl Choice {
    /// The least work for `outputs` outputs of `taps` taps.
    fn best(outputs: usize, taps: usize) -> Self {
        let at_once = outputs.min(SUMS.max(2 * taps));
        let sum = Self { method: Method::Sum, outputs: at_once, work: (outputs * taps) as f64 };
        let whole = Self::transform(outputs, taps, outputs + taps - 1);
        let blocks = [2, 4, 8, 16].map(|times| Self::transform(outputs, taps, times * taps));
        let mut best = sum;
        for choice in std::iter::once(whole).chain(blocks) {
            if choice.work < best.work {
                best = choice;
            }
        }
        best
    }

    /// Transforms of at least `length` numbers, which is at least `taps`.
    fn transform(outputs: usize, taps: usize, length: usize) -> Self {
        let length = length_from(length);
        let each = length - (taps - 1);
        let work = outputs.div_ceil(each) as f64 * length as f64 * (length as f64).log2() * TRANSFORM;
        Self { method: Method::Transform(length), outputs: each, work }
    }
}
