//! The operator's arguments as slices.

use super::chunks::{Chunk, chunks, kept};
use crate::kernel::cpu::lanes::Real;
use std::ops::Range;

/// Extents of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    pub batch: usize,
    pub time: usize,
    pub heads: usize,
    pub key: usize,
    pub value: usize,
}

impl Extents {
    /// Where the `width` channels of a token begin in a tensor `[b, t, h, width]`.
    pub fn token(&self, batch: usize, token: usize, head: usize, width: usize) -> usize {
        ((batch * self.time + token) * self.heads + head) * width
    }

    /// Heads of all sequences together.
    pub fn all_heads(&self) -> usize {
        self.batch * self.heads
    }

    /// The sequence and head that is number `index` of all.
    pub fn at(&self, index: usize) -> (usize, usize) {
        (index / self.heads, index % self.heads)
    }

    /// The number of a sequence and head among all.
    pub fn head(&self, (batch, head): (usize, usize)) -> usize {
        batch * self.heads + head
    }

    /// Elements of one memory.
    pub fn memory(&self) -> usize {
        self.key * self.value
    }
}

/// How the memory fades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fading {
    /// Not at all.
    None,
    /// By one number per head, or per head and token: all channels alike.
    Alike,
    /// By one number per head, token and key channel.
    Channels,
}

/// A log decay and how it is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay<'a, E> {
    pub numbers: &'a [E],
    /// Elements between neighbours in batch, time and heads; 0 where one number serves all.
    pub strides: [usize; 3],
    pub fading: Fading,
}

impl<'a, E> Decay<'a, E> {
    pub fn none() -> Self {
        Self { numbers: &[], strides: [0; 3], fading: Fading::None }
    }

    /// From a tensor of the shape `[b, t, h, k]`, each extent of which may be 1.
    pub fn new(numbers: &'a [E], shape: [usize; 4]) -> Self {
        let [batch, time, heads, channels] = shape;
        let stride = |extent: usize, inside: usize| if extent == 1 { 0 } else { inside };
        let strides =
            [stride(batch, time * heads * channels), stride(time, heads * channels), stride(heads, channels)];
        let fading = if channels == 1 { Fading::Alike } else { Fading::Channels };
        Self { numbers, strides, fading }
    }

    /// Where the numbers of a token begin.
    pub fn at(&self, batch: usize, token: usize, head: usize) -> usize {
        let [of_batch, of_time, of_head] = self.strides;
        batch * of_batch + token * of_time + head * of_head
    }
}

/// Everything that the forward pass reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a, E> {
    pub extents: Extents,
    pub query: &'a [E],
    pub key: &'a [E],
    pub value: &'a [E],
    pub decay: Decay<'a, E>,
    pub scale: E,
}

/// The chunks of every sequence of a batch, and where their memories are kept.
#[derive(Debug)]
pub(crate) struct Cut {
    rows: Vec<Vec<Chunk>>,
    /// For each sequence, the memories kept per head, counted over the batch.
    slots: Vec<Range<usize>>,
    /// Memories kept per head over the whole batch.
    pub kept: usize,
}

impl Cut {
    pub fn new<E: Real>(extents: &Extents, resets: Option<&[E]>) -> Self {
        let Extents { batch, time, .. } = *extents;
        let rows: Vec<_> = (0..batch)
            .map(|row| chunks(time, resets.map(|resets| &resets[row * time..(row + 1) * time])))
            .collect();
        let mut total = 0;
        let mut slots = Vec::with_capacity(batch);
        for row in &rows {
            let end = total + kept(row);
            slots.push(total..end);
            total = end;
        }
        Self { rows, slots, kept: total }
    }

    /// The chunks of a sequence.
    pub fn row(&self, batch: usize) -> &[Chunk] {
        &self.rows[batch]
    }

    /// The range, in memories, of what a sequence and head keep.
    pub fn memories(&self, batch: usize, head: usize, heads: usize) -> Range<usize> {
        let slots = &self.slots[batch];
        let start = slots.start * heads + head * slots.len();
        start..start + slots.len()
    }

    /// Every chunk of every head: which head of the batch, and which of its chunks.
    pub fn all(&self, heads: usize) -> Vec<(usize, usize)> {
        let rows = self.rows.iter().enumerate();
        rows.flat_map(|(batch, row)| {
            (0..heads).flat_map(move |head| (0..row.len()).map(move |index| (batch * heads + head, index)))
        })
        .collect()
    }

    /// The number of chunks of the sequence that has most.
    pub fn most_chunks(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0)
    }
}
