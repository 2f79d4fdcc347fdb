//! The backward pass over a batch.

use super::backward::{Backward, Given};
use super::chunks::{CHUNK, Chunk, slot_after};
use super::forward::widths;
use super::sequence::{Cut, Fading, Sequence};
use super::tasks::{Division, spread, strips};
use super::tokens::list;
use crate::kernel::cpu::ahead::Ahead;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::rows::Rows;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The gradients that a backward pass fills.
#[derive(Clone, Copy)]
pub(super) struct Gradients<'a, E> {
    pub query: Rows<'a, E>,
    pub key: Rows<'a, E>,
    pub value: Rows<'a, E>,
    /// `[b, t, h, 1]` or `[b, t, h, k]`, whatever the decay's own shape; empty where nothing fades.
    pub decay: Rows<'a, E>,
    pub memory: Rows<'a, E>,
}

/// A backward pass: what it reads and what it fills.
#[derive(Clone, Copy)]
pub(super) struct BackwardPass<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub cut: &'a Cut,
    /// What the forward pass kept.
    pub states: &'a [E],
    pub products: &'a [E],
    /// The gradients of output and final memory.
    pub output: &'a [E],
    pub last: &'a [E],
    pub gradients: Gradients<'a, E>,
    /// Room for the gradients of the kept memories, where the work is divided by chunks.
    pub memories: Option<Rows<'a, E>>,
    pub division: Division,
}

impl<'a, E: Real> BackwardPass<'a, E> {
    fn heads(&self) -> usize {
        self.sequence.extents.batch * self.sequence.extents.heads
    }

    fn at(&self, task: usize) -> (usize, usize) {
        (task / self.sequence.extents.heads, task % self.sequence.extents.heads)
    }

    /// Loads `columns` of the final memory's gradient into rows of their width.
    fn load_last(&self, at: (usize, usize), columns: &Range<usize>, memory: &mut [E]) {
        let extents = &self.sequence.extents;
        let start = (at.0 * extents.heads + at.1) * extents.memory();
        let filled = columns.start.min(extents.value)..columns.end.min(extents.value);
        for (k, row) in memory.chunks_exact_mut(columns.len()).enumerate() {
            row[..filled.len()].copy_from_slice(&self.last[start + k * extents.value..][filled.clone()]);
        }
    }

    /// Stores `columns` of the initial memory's gradient.
    fn store_memory(&self, at: (usize, usize), columns: &Range<usize>, memory: &[E]) {
        let extents = &self.sequence.extents;
        let start = (at.0 * extents.heads + at.1) * extents.memory();
        let filled = columns.start.min(extents.value)..columns.end.min(extents.value);
        for (k, row) in memory.chunks_exact(columns.len()).enumerate() {
            let offset = start + k * extents.value + filled.start;
            // SAFETY: every head and every range of columns is one task's.
            unsafe { self.gradients.memory.write(offset, &row[..filled.len()]) };
        }
    }

    /// What a chunk is given, with `memory_gradient` flowing into the memory after it.
    fn given(
        &self,
        at: (usize, usize),
        index: usize,
        width: usize,
        memory_gradient: &'a [E],
    ) -> Given<'a, E> {
        let extents = &self.sequence.extents;
        let slots = self.cut.memories(at.0, at.1, extents.heads);
        let size = extents.key * width;
        let state = |slot: usize| &self.states[(slots.start + slot) * size..][..size];
        let chunks = self.cut.row(at.0);
        let chunk = chunks[index];
        let start = ((at.0 * extents.heads + at.1) * extents.time + chunk.start) * CHUNK;
        Given {
            before: (!chunk.clears).then(|| state(chunk.kept)),
            products: &self.products[start..][..chunk.length * CHUNK],
            memory_gradient,
        }
    }

    /// Stores the gradients of a chunk's tokens.
    fn store(&self, at: (usize, usize), chunk: Chunk, backward: &Backward<E>, widths: (usize, usize)) {
        let extents = &self.sequence.extents;
        let rows = |to: Rows<'_, E>, from: &[E], width: usize, channels: usize| {
            for (i, row) in from.chunks_exact(width).take(chunk.length).enumerate() {
                let start = extents.token(at.0, chunk.start + i, at.1, channels);
                // SAFETY: every token of every head is one task's.
                unsafe { to.write(start, &row[..channels]) };
            }
        };
        rows(self.gradients.query, &backward.query_gradient, widths.0, extents.key);
        rows(self.gradients.key, &backward.key_gradient, widths.0, extents.key);
        rows(self.gradients.value, &backward.value_gradient, widths.1, extents.value);
        match self.sequence.decay.fading {
            Fading::None => {}
            Fading::Alike => rows(self.gradients.decay, &backward.decay_gradient, 1, 1),
            Fading::Channels => rows(self.gradients.decay, &backward.decay_gradient, widths.0, extents.key),
        }
    }

    /// Lists what the chunk will write and the next one will read.
    #[inline(always)]
    fn list(&self, ahead: &mut Ahead, at: (usize, usize), chunk: Chunk, next: Option<Chunk>, width: usize) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        ahead.clear();
        if let Some(next) = next {
            list(ahead, sequence.query.as_ptr(), extents, at, next, extents.key);
            list(ahead, self.output.as_ptr(), extents, at, next, extents.value);
            list(ahead, sequence.key.as_ptr(), extents, at, next, extents.key);
            list(ahead, sequence.value.as_ptr(), extents, at, next, extents.value);
        }
        list(ahead, self.gradients.query.start(), extents, at, chunk, extents.key);
        list(ahead, self.gradients.key.start(), extents, at, chunk, extents.key);
        list(ahead, self.gradients.value.start(), extents, at, chunk, extents.value);
        if let Some(next) = next {
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let size = extents.key * width;
            ahead.list(self.states[(slots.start + next.kept) * size..].as_ptr(), size);
            let start = ((at.0 * extents.heads + at.1) * extents.time + next.start) * CHUNK;
            ahead.list(self.products[start..].as_ptr(), next.length * CHUNK);
        }
    }

    /// One pass over all chunks of a range of heads.
    #[inline(always)]
    fn whole_heads<S: Simd>(&self, simd: S, tasks: Range<usize>) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let fading = sequence.decay.fading;
        let widths = widths::<S, E>(sequence);
        let mut backward = Backward::new(fading, widths);
        let mut memory = Buffer::<E>::new(extents.key * widths.1);
        let all = 0..widths.1;
        for at in tasks.map(|task| self.at(task)) {
            self.load_last(at, &all, &mut memory);
            for (index, chunk) in self.cut.row(at.0).iter().enumerate().rev() {
                backward.load(sequence, self.output, at, *chunk);
                let given = self.given(at, index, widths.1, &[]);
                let next = index.checked_sub(1).map(|index| self.cut.row(at.0)[index]);
                self.list(&mut backward.ahead, at, *chunk, next, widths.1);
                let given = Given { memory_gradient: &memory, ..given };
                backward.read(simd, sequence, at, *chunk, given);
                self.store(at, *chunk, &backward, widths);
                backward.write(simd, sequence, *chunk, (&mut memory, widths.1), all.clone());
            }
            self.store_memory(at, &all, &memory);
        }
    }

    /// The gradients of the memories alone, for a range of strips of columns of all heads.
    #[inline(always)]
    fn memories<S: Simd>(&self, simd: S, strips: &[Range<usize>], to: Rows<'_, E>, tasks: Range<usize>) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let fading = sequence.decay.fading;
        let widths = widths::<S, E>(sequence);
        let mut backward = Backward::new(fading, widths);
        let mut room = Buffer::<E>::new(extents.key * widths.1);
        for task in tasks {
            let (at, columns) = (self.at(task / strips.len()), &strips[task % strips.len()]);
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let memory = &mut room[..extents.key * columns.len()];
            memory.fill(E::default());
            self.load_last(at, columns, memory);
            let chunks = self.cut.row(at.0);
            for (index, chunk) in chunks.iter().enumerate().rev() {
                if let Some(slot) = slot_after(chunks, index) {
                    for (k, row) in memory.chunks_exact(columns.len()).enumerate() {
                        let start = ((slots.start + slot) * extents.key + k) * widths.1 + columns.start;
                        // SAFETY: every head and every range of columns is one task's.
                        unsafe { to.write(start, row) };
                    }
                }
                backward.load(sequence, self.output, at, *chunk);
                backward.write(simd, sequence, *chunk, (memory, columns.len()), columns.clone());
            }
            self.store_memory(at, columns, memory);
        }
    }

    /// The gradients of the tokens of a range of chunks, of all heads.
    #[inline(always)]
    fn tokens<S: Simd>(
        &self,
        simd: S,
        chunks: &[(usize, usize)],
        memories: Rows<'_, E>,
        tasks: Range<usize>,
    ) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let fading = sequence.decay.fading;
        let widths = widths::<S, E>(sequence);
        let mut backward = Backward::new(fading, widths);
        let size = extents.key * widths.1;
        let nothing = Buffer::<E>::new(size);
        for (head, index) in &chunks[tasks] {
            let at = self.at(*head);
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let row = self.cut.row(at.0);
            let memory_gradient: &[E] = match slot_after(row, *index) {
                // SAFETY: the gradients have all been written, and are only read from here on.
                Some(slot) => unsafe { memories.read((slots.start + slot) * size, size) },
                None => &nothing,
            };
            backward.load(sequence, self.output, at, row[*index]);
            let given = self.given(at, *index, widths.1, &[]);
            let given = Given { memory_gradient, ..given };
            backward.read(simd, sequence, at, row[*index], given);
            self.store(at, row[*index], &backward, widths);
        }
    }
}

impl<E: Real> WithSimd for BackwardPass<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let extents = &self.sequence.extents;
        match (self.division, self.memories) {
            (Division::Chunks, Some(memories)) => {
                let strips = strips::<S, E>(widths::<S, E>(&self.sequence).1, rayon::current_num_threads());
                spread(extents, self.heads() * strips.len(), |tasks| {
                    simd.vectorize(
                        #[inline(always)]
                        || self.memories(simd, &strips, memories, tasks),
                    )
                });
                let chunks = self.cut.all(extents.heads);
                spread(extents, chunks.len(), |tasks| {
                    simd.vectorize(
                        #[inline(always)]
                        || self.tokens(simd, &chunks, memories, tasks),
                    )
                });
            }
            _ => spread(extents, self.heads(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || self.whole_heads(simd, tasks),
                )
            }),
        }
    }
}
