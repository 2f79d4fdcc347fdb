//! The part of a scan that a unit has.

use cubecl::prelude::*;

/// Tokens of one sequence, one after the other.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Chunk {
    /// The first token, in its sequence.
    pub from: usize,
    /// The same among the tokens of all sequences.
    pub first: usize,
    /// How many tokens there are.
    pub length: usize,
}

/// The chunk `index` of a sequence in chunks of `size` tokens, of which the last may have fewer.
#[cube]
pub(crate) fn chunk(batch: usize, index: usize, time: usize, #[comptime] size: usize) -> Chunk {
    let from = index * size;
    let mut length = time - from;
    if length > size {
        length = size.runtime();
    }
    Chunk { from, first: batch * time + from, length }
}

/// The token that comes after `step` others of a chunk, among those of all sequences.
#[cube]
pub(crate) fn token(chunk: &Chunk, step: usize, #[comptime] reverse: bool) -> usize {
    let mut token = chunk.first + step;
    if comptime!(reverse) {
        token = chunk.first + chunk.length - 1 - step;
    }
    token
}

/// One channel in the tokens of a chunk.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Place {
    pub batch: usize,
    pub channel: usize,
    pub chunk: Chunk,
}

/// The place of a unit, if there is one for every `[b, chunks, d]`, with chunks of `size` tokens. Neighbours have
/// neighbouring channels, whose numbers the device reads and writes together.
#[cube]
pub(crate) fn place(
    unit: usize,
    chunks: usize,
    time: usize,
    channels: usize,
    #[comptime] size: usize,
) -> Place {
    let batch = unit / channels / chunks;
    Place { batch, channel: unit % channels, chunk: chunk(batch, unit / channels % chunks, time, size) }
}
