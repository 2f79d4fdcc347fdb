//! The part of a scan that a unit has.

use cubecl::prelude::*;

/// Tokens of a chunk. The states of the chunks' edges are a small part of all, and the shortest sequences that are worth
/// dividing have two.
pub(super) const CHUNK: usize = 64;

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub complex: bool,
    /// Whether one factor serves all tokens.
    pub shared: bool,
    pub resets: bool,
    /// Whether time runs backwards.
    pub reverse: bool,
}

/// One channel in the tokens of a chunk.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Place {
    pub batch: usize,
    pub channel: usize,
    /// The first token of the chunk, in its sequence.
    pub from: usize,
    /// The same among the tokens of all sequences.
    pub first: usize,
    /// Tokens of the chunk.
    pub length: usize,
}

/// The place of a unit, if there is one for every `[b, chunks, d]`. Neighbours have neighbouring channels, whose numbers
/// the device reads and writes together.
#[cube]
pub(super) fn place(unit: usize, chunks: usize, time: usize, channels: usize) -> Place {
    let batch = unit / channels / chunks;
    let from = unit / channels % chunks * CHUNK;
    let mut length = time - from;
    if length > CHUNK {
        length = CHUNK.runtime();
    }
    Place { batch, channel: unit % channels, from, first: batch * time + from, length }
}

/// The token that comes after `step` others, among those of all sequences.
#[cube]
pub(super) fn token(place: &Place, step: usize, #[comptime] reverse: bool) -> usize {
    let mut token = place.first + step;
    if comptime!(reverse) {
        token = place.first + place.length - 1 - step;
    }
    token
}
