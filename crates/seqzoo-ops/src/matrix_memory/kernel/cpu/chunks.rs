//! How sequences are cut into chunks.

use super::extents::Extents;
use crate::kernel::cpu::lanes::Real;
use crate::segments::{Segment, Segments, sequences};
use std::ops::Range;

/// Tokens per chunk.
pub(crate) const CHUNK: usize = 32;

/// Tokens per block inside a chunk: products of decays stay inside one.
pub(crate) const BLOCK: usize = 16;

/// Tokens that are worked on at once. Only the first token of a chunk may be a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The first token, counted in the row of the batch.
    pub start: usize,
    /// The number of tokens, at most [`CHUNK`].
    pub length: usize,
    /// Whether the memory is cleared before the first token.
    pub clears: bool,
    /// The slot in which the memory before the chunk is saved, counted over the sequence. A chunk that clears the
    /// memory has none, so that a sequence of `T` tokens never has more than `T / CHUNK + 1` of them.
    pub slot: usize,
}

/// A chunk of one sequence and head of the values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The row of the batch that the tokens lie in.
    pub batch: usize,
    pub head: usize,
    pub chunk: Chunk,
}

impl Place {
    /// The number of the head among those of all rows of the batch.
    pub fn head_number(&self, extents: &Extents) -> usize {
        self.batch * extents.heads + self.head
    }
}

/// Cuts tokens of a row into chunks; `resets` has a number other than 0 where the memory is cleared, for all tokens of
/// the row.
fn chunks<E: PartialEq + Default>(tokens: Range<usize>, resets: Option<&[E]>) -> Vec<Chunk> {
    let reset = |token: usize| resets.is_some_and(|resets| resets[token] != E::default());
    let mut chunks = Vec::with_capacity(tokens.len().div_ceil(CHUNK));
    let (mut start, mut slot) = (tokens.start, 0);
    while start < tokens.end {
        let max = CHUNK.min(tokens.end - start);
        let length = (1..max).find(|offset| reset(start + offset)).unwrap_or(max);
        let clears = reset(start);
        chunks.push(Chunk { start, length, clears, slot });
        slot += usize::from(!clears);
        start += length;
    }
    chunks
}

/// How many slots a cut sequence has, one for the final memory included.
fn slots(chunks: &[Chunk]) -> usize {
    1 + chunks.iter().filter(|chunk| !chunk.clears).count()
}

/// The chunks of every sequence of a call, and the slots of their memories. The sequences are the rows of the batch, or the
/// segments in them; their heads are numbered one sequence after the other.
#[derive(Debug)]
pub(crate) struct Cut {
    heads: usize,
    longest: usize,
    sequences: Vec<Sequence>,
}

#[derive(Debug)]
struct Sequence {
    /// The row of the batch that it lies in.
    row: usize,
    chunks: Vec<Chunk>,
    /// Its slots per head, counted over all sequences.
    slots: Range<usize>,
}

impl Cut {
    pub fn new<E: Real>(extents: &Extents, resets: Option<&[E]>, segments: Option<&Segments>) -> Self {
        let Extents { batch, time, heads, .. } = *extents;
        let (mut total, mut longest) = (0, 0);
        let sequence = |Segment { row, start, length }| {
            let resets = resets.map(|resets| &resets[row * time..(row + 1) * time]);
            let chunks = chunks(start..start + length, resets);
            let first = total;
            longest = length.max(longest);
            total += slots(&chunks);
            Sequence { row, chunks, slots: first..total }
        };
        let all = sequences(batch, time, segments).into_iter();
        let sequences = all.map(sequence).collect();
        Self { heads, longest, sequences }
    }

    /// The heads of all sequences together.
    pub fn all_heads(&self) -> usize {
        self.sequences.len() * self.heads
    }

    /// The number of chunks of head number `index`.
    pub fn chunks(&self, index: usize) -> usize {
        self.sequences[index / self.heads].chunks.len()
    }

    /// The place of a chunk of head number `index`.
    pub fn place(&self, index: usize, chunk: usize) -> Place {
        let (sequence, head) = (index / self.heads, index % self.heads);
        let Sequence { row, chunks, .. } = &self.sequences[sequence];
        Place { batch: *row, head, chunk: chunks[chunk] }
    }

    /// The slot, counted over all heads, of the memory before chunk `chunk` of head number `index`; none where the chunk
    /// clears it.
    pub fn slot_before(&self, index: usize, chunk: usize) -> Option<usize> {
        let (sequence, head) = (index / self.heads, index % self.heads);
        let Chunk { clears, slot, .. } = self.sequences[sequence].chunks[chunk];
        (!clears).then(|| self.first_slot(sequence, head) + slot)
    }

    /// The slot of the memory after chunk `chunk` of head number `index`, if what follows reads it.
    pub fn slot_after(&self, index: usize, chunk: usize) -> Option<usize> {
        match self.sequences[index / self.heads].chunks.get(chunk + 1) {
            None => Some(self.last_slot(index)),
            Some(_) => self.slot_before(index, chunk + 1),
        }
    }

    /// The slot of the final memory of head number `index`.
    pub fn last_slot(&self, index: usize) -> usize {
        let (sequence, head) = (index / self.heads, index % self.heads);
        self.first_slot(sequence, head) + self.sequences[sequence].slots.len() - 1
    }

    fn first_slot(&self, sequence: usize, head: usize) -> usize {
        let slots = &self.sequences[sequence].slots;
        slots.start * self.heads + head * slots.len()
    }

    /// The slots of all heads.
    pub fn all_slots(&self) -> usize {
        self.heads * self.sequences.last().map_or(0, |sequence| sequence.slots.end)
    }

    /// Every chunk of every `group` heads: the number of the first head, and of the chunk.
    pub fn all_chunks(&self, group: usize) -> Vec<(usize, usize)> {
        let heads = (0..self.all_heads()).step_by(group);
        heads.flat_map(|index| (0..self.chunks(index)).map(move |chunk| (index, chunk))).collect()
    }

    /// The largest number of tokens of a sequence.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The largest number of chunks of a sequence.
    pub fn max_chunks(&self) -> usize {
        self.sequences.iter().map(|sequence| sequence.chunks.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_cut_into_whole_chunks_and_a_rest() {
        let lengths =
            |time| chunks::<f32>(0..time, None).iter().map(|chunk| chunk.length).collect::<Vec<_>>();
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(CHUNK), [CHUNK]);
        assert_eq!(lengths(2 * CHUNK + 1), [CHUNK, CHUNK, 1]);
    }

    #[test]
    fn resets_begin_chunks_and_keep_no_memory() {
        let mut resets = vec![0.0f32; 40];
        for token in [0, 5, 6] {
            resets[token] = 1.0;
        }
        let cut = chunks(0..40, Some(&resets));
        let short: Vec<_> = cut.iter().map(|each| (each.start, each.length, each.clears)).collect();
        assert_eq!(short, [(0, 5, true), (5, 1, true), (6, 32, true), (38, 2, false)]);
        assert_eq!(slots(&cut), 2);
        let all = chunks(0..40, Some(&[1.0f32; 40]));
        assert_eq!((all.len(), slots(&all)), (40, 1));
    }

    #[test]
    fn segments_are_cut_where_they_lie() {
        let extents = Extents { batch: 2, time: 40, heads: 3, key: 1, value: 1 };
        let segments = Segments::new(40, [vec![35, 0, 5], vec![40]]);
        let mut resets = [0.0f32; 80];
        (resets[37], resets[40]) = (1.0, 1.0);
        let cut = Cut::new(&extents, Some(&resets), Some(&segments));
        assert_eq!((cut.all_heads(), cut.longest(), cut.max_chunks()), (12, 40, 2));
        let places = |sequence: usize| -> Vec<_> {
            let head = 3 * sequence + 1;
            let places = (0..cut.chunks(head)).map(|chunk| cut.place(head, chunk));
            places
                .map(|Place { batch, chunk, .. }| (batch, chunk.start, chunk.length, chunk.clears))
                .collect()
        };
        assert_eq!(places(0), [(0, 0, 32, false), (0, 32, 3, false)]);
        assert_eq!(places(1), []);
        assert_eq!(places(2), [(0, 35, 2, false), (0, 37, 3, true)]);
        assert_eq!(places(3), [(1, 0, 32, true), (1, 32, 8, false)]);
        // Three slots per head, one, two and two: no two heads share one.
        let last: Vec<_> = (0..12).map(|head| cut.last_slot(head)).collect();
        assert_eq!(last, [2, 5, 8, 9, 10, 11, 13, 15, 17, 19, 21, 23]);
        assert_eq!(cut.all_slots(), 24);
        assert_eq!(cut.all_chunks(3), [(0, 0), (0, 1), (6, 0), (6, 1), (9, 0), (9, 1)]);
    }
}
