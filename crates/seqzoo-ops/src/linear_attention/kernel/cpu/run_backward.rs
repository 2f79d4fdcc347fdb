//! The backward pass over a batch.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::transpose::transpose;
use crate::matrix_memory::cpu::backward::{Backward, Given};
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk, slot_after};
use crate::matrix_memory::cpu::forward::widths;
use crate::matrix_memory::cpu::memory;
use crate::matrix_memory::cpu::sequence::{Cut, Fading, Sequence};
use crate::matrix_memory::cpu::tasks::{self, Division, Pass};
use crate::matrix_memory::cpu::tokens::{self, list, load};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// The gradients that a backward pass fills.
#[derive(Clone, Copy)]
pub(super) struct Gradients<'a, E> {
    pub query: Output<'a, E>,
    pub key: Output<'a, E>,
    pub value: Output<'a, E>,
    /// `[b, t, h, 1]` or `[b, t, h, k]`, whatever the decay's own shape; empty where nothing fades.
    pub decay: Output<'a, E>,
    pub memory: Output<'a, E>,
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
    /// Room for the gradients of the kept memories; none where the work is not divided by chunks.
    pub memories: Output<'a, E>,
    pub division: Division,
}

impl<E: Real> BackwardPass<'_, E> {
    /// What a chunk is given, with `memory_gradient` flowing into the memory after it.
    fn given<'b>(
        &'b self,
        at: (usize, usize),
        index: usize,
        width: usize,
        memory_gradient: &'b [E],
    ) -> Given<'b, E, 1> {
        let extents = &self.sequence.extents;
        let slots = self.cut.memories(at.0, at.1, extents.heads);
        let size = extents.value * width;
        let state = |slot: usize| &self.states[(slots.start + slot) * size..][..size];
        let chunks = self.cut.row(at.0);
        let chunk = chunks[index];
        let start = (extents.head(at) * extents.time + chunk.start) * CHUNK;
        Given {
            before: (!chunk.clears).then(|| state(chunk.kept)),
            products: [&self.products[start..][..chunk.length * CHUNK]],
            memory_gradient,
        }
    }

    /// Loads a chunk.
    #[inline(always)]
    fn load(&self, backward: &mut Backward<E, 1>, at: (usize, usize), chunk: Chunk, width: usize) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        backward.keys.load(sequence, at, chunk);
        backward.load_queries(sequence, self.output, at, chunk);
        load(sequence.value, extents, at, chunk, extents.value, (&mut backward.value, width));
    }

    /// All gradients of a chunk's tokens; `memory_gradient` is what is given, but not turned.
    #[inline(always)]
    fn read<S: Simd>(
        &self,
        simd: S,
        backward: &mut Backward<E, 1>,
        chunk: Chunk,
        given: Given<'_, E, 1>,
        memory_gradient: (&[E], usize),
    ) {
        let (channels, width) = (self.sequence.extents.key, memory_gradient.1);
        backward.read(simd, &self.sequence, chunk, given);
        backward.keys.fade_to_the_end(chunk.length);
        backward.of_values(simd, channels, chunk.length, given.products[0], memory_gradient, 0..width);
    }

    /// Stores the gradients of a chunk's tokens.
    fn store(&self, at: (usize, usize), chunk: Chunk, backward: &Backward<E, 1>, widths: (usize, usize)) {
        let extents = &self.sequence.extents;
        let rows = |to, from, width, channels| {
            // SAFETY: every token of every head is one task's.
            unsafe { tokens::store(to, extents, at, chunk, channels, (from, width)) }
        };
        rows(self.gradients.query, &backward.readers[0].gradient, widths.0, extents.key);
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
            list(prefetch, sequence.value.as_ptr(), extents, at, next, extents.value);
        }
        list(prefetch, self.gradients.query.start(), extents, at, chunk, extents.key);
        list(prefetch, self.gradients.key.start(), extents, at, chunk, extents.key);
        list(prefetch, self.gradients.value.start(), extents, at, chunk, extents.value);
        if let Some(next) = next {
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let size = extents.value * width;
            prefetch.run(self.states[(slots.start + next.kept) * size..].as_ptr(), size);
            let start = (extents.head(at) * extents.time + next.start) * CHUNK;
            prefetch.run(self.products[start..].as_ptr(), next.length * CHUNK);
        }
    }
}

impl<E: Real> Pass<E> for BackwardPass<'_, E> {
    /// With room for the gradient of a memory, turned.
    type Buffers = (Backward<E, 1>, Buffer<E>);

    fn sequence(&self) -> &Sequence<'_, E> {
        &self.sequence
    }

    fn cut(&self) -> &Cut {
        self.cut
    }

    fn buffers<S: Simd>(&self, _: S) -> Self::Buffers {
        let (sequence, widths) = (&self.sequence, widths::<S, E>(&self.sequence));
        let turned = Buffer::new(sequence.extents.value * widths.0);
        (Backward::new(sequence.decay.fading, widths, [false]), turned)
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
            self.load(backward, at, chunk, widths.1);
            let next = index.checked_sub(1).map(|index| chunks[index]);
            self.list(&mut backward.prefetch, at, chunk, next, widths.0);
            transpose(simd, (extents.key, extents.value), (memory, widths.1), (turned, widths.0));
            let given = self.given(at, index, widths.0, turned);
            self.read(simd, backward, chunk, given, (memory, widths.1));
            self.store(at, chunk, backward, widths);
            backward.write(simd, sequence, chunk, (memory, widths.1), all.clone());
        }
    }

    /// The gradients of the memories alone.
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
                backward.keys.factors.load(sequence, at.0, at.1, *chunk);
                backward.load_queries(sequence, self.output, at, *chunk);
                backward.write(simd, sequence, *chunk, (memory, columns.len()), columns.clone());
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
        let mut memory = Buffer::<E>::new(extents.key * widths.1);
        for (head, index) in chunks {
            let at = extents.at(*head);
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let row = self.cut.row(at.0);
            let memory_gradient: &[E] = match slot_after(row, *index) {
                // SAFETY: the gradients have all been written, and are only read from here on.
                Some(slot) => unsafe { self.memories.read((slots.start + slot) * size, size) },
                None => &nothing,
            };
            self.load(backward, at, row[*index], widths.1);
            let given = self.given(at, *index, widths.0, memory_gradient);
            transpose(
                simd,
                (extents.value, extents.key),
                (memory_gradient, widths.0),
                (&mut memory, widths.1),
            );
            self.read(simd, backward, row[*index], given, (&memory, widths.1));
            self.store(at, row[*index], backward, widths);
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
