//! The backward pass over a batch.

use super::backward::Backward;
use super::beta::Beta;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::transpose::transpose;
use crate::matrix_memory::cpu::backward::Given;
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk, slot_after};
use crate::matrix_memory::cpu::forward::widths;
use crate::matrix_memory::cpu::memory;
use crate::matrix_memory::cpu::sequence::{Cut, Fading, Sequence};
use crate::matrix_memory::cpu::tasks::{self, Division, Pass};
use crate::matrix_memory::cpu::tokens::{self, list};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The gradients that a backward pass fills.
#[derive(Clone, Copy)]
pub(super) struct Gradients<'a, E> {
    pub query: Output<'a, E>,
    pub key: Output<'a, E>,
    pub value: Output<'a, E>,
    pub beta: Output<'a, E>,
    /// `[b, t, h, 1]` or `[b, t, h, k]`, whatever the decay's own shape; empty where nothing fades.
    pub decay: Output<'a, E>,
    pub memory: Output<'a, E>,
}

/// A backward pass: what it reads and what it fills.
#[derive(Clone, Copy)]
pub(super) struct BackwardPass<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub beta: Beta<'a, E>,
    pub cut: &'a Cut,
    /// What the forward pass kept.
    pub states: &'a [E],
    pub differences: &'a [E],
    pub products: &'a [E],
    pub triangles: &'a [E],
    /// The gradients of output and final memory.
    pub output: &'a [E],
    pub last: &'a [E],
    pub gradients: Gradients<'a, E>,
    /// Room for the gradients of the kept memories; none where the work is not divided by chunks.
    pub memories: Output<'a, E>,
    pub division: Division,
}

impl<E: Real> BackwardPass<'_, E> {
    /// The products of queries with keys, and of negated keys with keys, inside a chunk.
    fn squares(&self, at: (usize, usize), chunk: Chunk) -> [&[E]; 2] {
        let extents = &self.sequence.extents;
        let start = (extents.head(at) * extents.time + chunk.start) * CHUNK;
        [self.products, self.triangles].map(|squares| &squares[start..][..chunk.length * CHUNK])
    }

    /// What a chunk is given, with `memory_gradient` flowing into the memory after it.
    fn given<'b>(
        &'b self,
        at: (usize, usize),
        chunk: Chunk,
        width: usize,
        memory_gradient: &'b [E],
    ) -> Given<'b, E, 2> {
        let extents = &self.sequence.extents;
        let slots = self.cut.memories(at.0, at.1, extents.heads);
        let size = extents.value * width;
        let state = |slot: usize| &self.states[(slots.start + slot) * size..][..size];
        let before = (!chunk.clears).then(|| state(chunk.kept));
        Given { before, products: self.squares(at, chunk), memory_gradient }
    }

    /// Stores the gradients of a chunk's tokens.
    fn store(&self, at: (usize, usize), chunk: Chunk, backward: &Backward<E>, widths: (usize, usize)) {
        let extents = &self.sequence.extents;
        let rows = |to, from, width, channels| {
            // SAFETY: every token of every head is one task's.
            unsafe { tokens::store(to, extents, at, chunk, channels, (from, width)) }
        };
        let [queries, eraser] = &backward.chunks.readers;
        rows(self.gradients.query, &queries.gradient, widths.0, extents.key);
        rows(self.gradients.key, &backward.chunks.key_gradient, widths.0, extents.key);
        rows(self.gradients.value, &eraser.upstream, widths.1, extents.value);
        rows(self.gradients.beta, &backward.beta_gradient, backward.beta_width(), self.beta.channels);
        let decay = &backward.chunks.decay_gradient;
        match self.sequence.decay.fading {
            Fading::None => {}
            Fading::Alike => rows(self.gradients.decay, decay, 1, 1),
            Fading::Channels => rows(self.gradients.decay, decay, widths.0, extents.key),
        }
    }

    /// Lists what the chunk will write and the next one will read.
    #[inline(always)]
    fn list(
        &self,
        prefetch: &mut Prefetch,
        at: (usize, usize),
        chunk: Chunk,
        next: Option<Chunk>,
        width: usize,
    ) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        prefetch.clear();
        if let Some(next) = next {
            list(prefetch, sequence.query.as_ptr(), extents, at, next, extents.key);
            list(prefetch, self.output.as_ptr(), extents, at, next, extents.value);
            list(prefetch, sequence.key.as_ptr(), extents, at, next, extents.key);
            list(prefetch, self.differences.as_ptr(), extents, at, next, extents.value);
        }
        list(prefetch, self.gradients.query.start(), extents, at, chunk, extents.key);
        list(prefetch, self.gradients.key.start(), extents, at, chunk, extents.key);
        list(prefetch, self.gradients.value.start(), extents, at, chunk, extents.value);
        if let Some(next) = next {
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let size = extents.value * width;
            prefetch.run(self.states[(slots.start + next.kept) * size..].as_ptr(), size);
            for square in self.squares(at, next) {
                prefetch.run(square.as_ptr(), square.len());
            }
        }
    }
}

impl<E: Real> Pass<E> for BackwardPass<'_, E> {
    /// With room for the gradient of a memory, turned.
    type Buffers = (Backward<E>, Buffer<E>);

    fn sequence(&self) -> &Sequence<'_, E> {
        &self.sequence
    }

    fn cut(&self) -> &Cut {
        self.cut
    }

    fn buffers<S: Simd>(&self, _: S) -> Self::Buffers {
        let (sequence, widths) = (&self.sequence, widths::<S, E>(&self.sequence));
        (Backward::new(sequence, self.beta, widths), Buffer::new(sequence.extents.value * widths.0))
    }

    fn start(&self) -> &[E] {
        self.last
    }

    fn end(&self) -> Output<'_, E> {
        self.gradients.memory
    }

    #[inline(always)]
    fn steps<S: Simd>(
        &self,
        simd: S,
        (backward, turned): &mut Self::Buffers,
        head: usize,
        steps: Range<usize>,
        memory: &mut [E],
    ) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let widths = widths::<S, E>(sequence);
        let (all, at) = (0..widths.1, extents.at(head));
        let chunks = self.cut.row(at.0);
        for step in steps {
            let index = chunks.len() - 1 - step;
            let chunk = chunks[index];
            let next = index.checked_sub(1).map(|index| chunks[index]);
            self.list(&mut backward.chunks.prefetch, at, chunk, next, widths.0);
            backward.load(sequence, self.beta, self.output, at, chunk);
            let squares = self.squares(at, chunk);
            backward.solve(simd, sequence, chunk, squares, (memory, widths.1), all.clone());
            transpose(simd, (extents.key, extents.value), (memory, widths.1), (turned, widths.0));
            let given = self.given(at, chunk, widths.0, turned);
            backward.read(simd, sequence, at, chunk, self.differences, given);
            self.store(at, chunk, backward, widths);
            backward.chunks.write(simd, sequence, chunk, (memory, widths.1), all.clone());
        }
    }

    /// The gradients of the memories and of what is written alone. The
    /// latter wait where the gradients of the values will be.
    #[inline(always)]
    fn in_order<S: Simd>(
        &self,
        simd: S,
        (backward, _): &mut Self::Buffers,
        strips: &[Range<usize>],
        tasks: Range<usize>,
    ) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let widths = widths::<S, E>(sequence);
        let mut room = Buffer::<E>::new(extents.key * widths.1);
        for task in tasks {
            let (at, columns) = (extents.at(task / strips.len()), &strips[task % strips.len()]);
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let memory = &mut room[..extents.key * columns.len()];
            memory.fill(E::default());
            memory::load(self.last, extents, at, columns, memory);
            let chunks = self.cut.row(at.0);
            for (index, chunk) in chunks.iter().enumerate().rev() {
                if let Some(slot) = slot_after(chunks, index) {
                    let slot = (slots.start + slot, widths.0);
                    // SAFETY: every range of columns of every head is one task's.
                    unsafe { memory::keep(simd, self.memories, extents, slot, columns, memory) };
                }
                backward.load(sequence, self.beta, self.output, at, *chunk);
                let (squares, gradient) = (self.squares(at, *chunk), (&*memory, columns.len()));
                backward.solve(simd, sequence, *chunk, squares, gradient, columns.clone());
                let written = (&*backward.chunks.value_gradient, widths.1);
                let values = (self.gradients.value, extents.value);
                // SAFETY: as above.
                unsafe {
                    tokens::store_columns(values.0, extents, at, *chunk, values.1, written, columns.clone());
                }
                backward.chunks.write(simd, sequence, *chunk, (memory, columns.len()), columns.clone());
            }
            // SAFETY: every range of columns of every head is one task's.
            unsafe { memory::store(self.gradients.memory, extents, at, columns, memory) };
        }
    }

    /// The gradients of tokens.
    #[inline(always)]
    fn each_chunk<S: Simd>(&self, simd: S, (backward, _): &mut Self::Buffers, chunks: &[(usize, usize)]) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let widths = widths::<S, E>(sequence);
        let size = extents.value * widths.0;
        let nothing = Buffer::<E>::new(size);
        for (head, index) in chunks {
            let at = extents.at(*head);
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let row = self.cut.row(at.0);
            let chunk = row[*index];
            let memory_gradient: &[E] = match slot_after(row, *index) {
                // SAFETY: the gradients have all been written, and are only read from here on.
                Some(slot) => unsafe { self.memories.read((slots.start + slot) * size, size) },
                None => &nothing,
            };
            backward.load(sequence, self.beta, self.output, at, chunk);
            // SAFETY: the first pass has written them, and every chunk of every head is one task's.
            unsafe { backward.recover(sequence, self.gradients.value, at, chunk) };
            let given = self.given(at, chunk, widths.0, memory_gradient);
            backward.read(simd, sequence, at, chunk, self.differences, given);
            self.store(at, chunk, backward, widths);
        }
    }
}

impl<E: Real> WithSimd for BackwardPass<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        tasks::run(simd, &self, self.division);
    }
}
