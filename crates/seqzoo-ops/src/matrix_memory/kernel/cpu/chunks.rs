//! How sequences are cut into chunks.

use super::extents::Extents;
use crate::kernel::cpu::lanes::Real;
use std::ops::Range;

/// Tokens per chunk.
pub(crate) const CHUNK: usize = 32;

/// Tokens per block inside a chunk: products of decays stay inside one.
pub(crate) const BLOCK: usize = 16;

/// Tokens that are worked on at once. Only the first token of a chunk may be a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The first token.
    pub start: usize,
    /// The number of tokens, at most [`CHUNK`].
    pub length: usize,
    /// Whether the memory is cleared before the first token.
    pub clears: bool,
    /// The slot in which the memory before the chunk is saved, counted over the sequence. A chunk that clears the
    /// memory has none, so that there are never more than `T / CHUNK + 1` of them.
    pub slot: usize,
}

/// A chunk of one sequence and head of the values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub batch: usize,
    pub head: usize,
    pub chunk: Chunk,
}

impl Place {
    /// The number of the head among all of the batch.
    pub fn head_number(&self, extents: &Extents) -> usize {
        self.batch * extents.heads + self.head
    }
}

/// Cuts `time` tokens into chunks; `resets` has a number other than 0 where the memory is cleared.
fn chunks<E: PartialEq + Default>(time: usize, resets: Option<&[E]>) -> Vec<Chunk> {
    let reset = |token: usize| resets.is_some_and(|resets| resets[token] != E::default());
    let mut chunks = Vec::with_capacity(time.div_ceil(CHUNK));
    let (mut start, mut slot) = (0, 0);
    while start < time {
        let max = CHUNK.min(time - start);
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

/// The chunks of every sequence of a batch, and the slots of their memories.
#[derive(Debug)]
pub(crate) struct Cut {
    heads: usize,
    rows: Vec<Vec<Chunk>>,
    /// For each sequence, its slots per head, counted over the batch.
    slots: Vec<Range<usize>>,
}

impl Cut {
    pub fn new<E: Real>(extents: &Extents, resets: Option<&[E]>) -> Self {
        let Extents { batch, time, heads, .. } = *extents;
        let rows: Vec<_> = (0..batch)
            .map(|row| chunks(time, resets.map(|resets| &resets[row * time..(row + 1) * time])))
            .collect();
        let mut total = 0;
        let mut all = Vec::with_capacity(batch);
        for row in &rows {
            let end = total + slots(row);
            all.push(total..end);
            total = end;
        }
        Self { heads, rows, slots: all }
    }

    /// The number of chunks of head number `index` of the batch.
    pub fn chunks(&self, index: usize) -> usize {
        self.rows[index / self.heads].len()
    }

    /// The place of a chunk of head number `index` of the batch.
    pub fn place(&self, index: usize, chunk: usize) -> Place {
        let (batch, head) = (index / self.heads, index % self.heads);
        Place { batch, head, chunk: self.rows[batch][chunk] }
    }

    /// The slot, counted over all heads of the batch, of the memory before a chunk; none where the chunk clears it.
    pub fn slot_before(&self, place: Place) -> Option<usize> {
        (!place.chunk.clears).then(|| self.first_slot(place.batch, place.head) + place.chunk.slot)
    }

    /// The slot of the memory after chunk `chunk` of head number `index`, if what follows reads it.
    pub fn slot_after(&self, index: usize, chunk: usize) -> Option<usize> {
        match self.rows[index / self.heads].get(chunk + 1) {
            None => Some(self.last_slot(index)),
            Some(_) => self.slot_before(self.place(index, chunk + 1)),
        }
    }

    /// The slot of the final memory of head number `index`.
    pub fn last_slot(&self, index: usize) -> usize {
        let (batch, head) = (index / self.heads, index % self.heads);
        self.first_slot(batch, head) + self.slots[batch].len() - 1
    }

    fn first_slot(&self, batch: usize, head: usize) -> usize {
        let slots = &self.slots[batch];
        slots.start * self.heads + head * slots.len()
    }

    /// The slots of all heads.
    pub fn all_slots(&self) -> usize {
        self.heads * self.slots.last().map_or(0, |slots| slots.end)
    }

    /// Every chunk of every `group` heads: the number of the first head, and of the chunk.
    pub fn all_chunks(&self, group: usize) -> Vec<(usize, usize)> {
        let heads = (0..self.rows.len() * self.heads).step_by(group);
        heads.flat_map(|index| (0..self.chunks(index)).map(move |chunk| (index, chunk))).collect()
    }

    /// The largest number of chunks of a sequence.
    pub fn max_chunks(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_cut_into_whole_chunks_and_a_rest() {
        let lengths = |time| chunks::<f32>(time, None).iter().map(|chunk| chunk.length).collect::<Vec<_>>();
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
        let cut = chunks(40, Some(&resets));
        let short: Vec<_> = cut.iter().map(|each| (each.start, each.length, each.clears)).collect();
        assert_eq!(short, [(0, 5, true), (5, 1, true), (6, 32, true), (38, 2, false)]);
        assert_eq!(slots(&cut), 2);
        let all = chunks(40, Some(&[1.0f32; 40]));
        assert_eq!((all.len(), slots(&all)), (40, 1));
    }
}
