//! The forward pass over a batch.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::transpose::transpose;
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk};
use crate::matrix_memory::cpu::forward::{Forward, widths};
use crate::matrix_memory::cpu::memory;
use crate::matrix_memory::cpu::sequence::{Cut, Sequence};
use crate::matrix_memory::cpu::tasks::{self, Division, Pass};
use crate::matrix_memory::cpu::tokens::{self, list};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// A forward pass: what it reads and what it fills.
#[derive(Clone, Copy)]
pub(super) struct ForwardPass<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub cut: &'a Cut,
    pub memory: &'a [E],
    pub output: Output<'a, E>,
    /// The final memories `[b, h, k, v]`.
    pub last: Output<'a, E>,
    /// The memories that [`Cut`] keeps, as [`memory::keep`] does: wanted by a backward pass, or where the work is
    /// divided by chunks.
    pub states: Option<Output<'a, E>>,
    /// The products inside the chunks, `[b, h, t, CHUNK]`, where a backward pass follows.
    pub products: Option<Output<'a, E>>,
    pub division: Division,
}

impl<E: Real> ForwardPass<'_, E> {
    /// Keeps `columns` of a memory in a slot, if memories are to be kept.
    fn keep<S: Simd>(&self, simd: S, slot: (usize, usize), columns: &Range<usize>, memory: &[E]) {
        if let Some(states) = self.states {
            // SAFETY: every head and every range of columns is one task's.
            unsafe { memory::keep(simd, states, &self.sequence.extents, slot, columns, memory) };
        }
    }

    /// Stores a chunk's outputs and, if wanted, its products.
    fn store(&self, at: (usize, usize), chunk: Chunk, (output, width): (&[E], usize), products: &[E]) {
        let extents = &self.sequence.extents;
        // SAFETY: every token of every head is one task's.
        unsafe { tokens::store(self.output, extents, at, chunk, extents.value, (output, width)) };
        if let Some(kept) = self.products {
            let start = (extents.head(at) * extents.time + chunk.start) * CHUNK;
            let length = chunk.length * CHUNK;
            // SAFETY: as above.
            unsafe { kept.write(start, &products[..length]) };
        }
    }

    /// Lists what the chunk will write and the next one will read.
    #[inline(always)]
    fn list(&self, prefetch: &mut Prefetch, at: (usize, usize), chunk: Chunk, next: Option<Chunk>) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        prefetch.clear();
        list(prefetch, self.output.start(), extents, at, chunk, extents.value);
        if let Some(next) = next {
            list(prefetch, sequence.key.as_ptr(), extents, at, next, extents.key);
            list(prefetch, sequence.value.as_ptr(), extents, at, next, extents.value);
            list(prefetch, sequence.query.as_ptr(), extents, at, next, extents.key);
        }
    }
}

impl<E: Real> Pass<E> for ForwardPass<'_, E> {
    type Buffers = Forward<E>;

    fn sequence(&self) -> &Sequence<'_, E> {
        &self.sequence
    }

    fn cut(&self) -> &Cut {
        self.cut
    }

    fn buffers<S: Simd>(&self, _: S) -> Forward<E> {
        Forward::new(self.sequence.decay.fading, widths::<S, E>(&self.sequence))
    }

    fn start(&self) -> &[E] {
        self.memory
    }

    fn end(&self) -> Output<'_, E> {
        self.last
    }

    #[inline(always)]
    fn steps<S: Simd>(
        &self,
        simd: S,
        forward: &mut Forward<E>,
        head: usize,
        steps: Range<usize>,
        memory: &mut [E],
    ) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let (key_width, width) = widths::<S, E>(sequence);
        let (all, at) = (0..width, extents.at(head));
        let slots = self.cut.memories(at.0, at.1, extents.heads);
        let chunks = self.cut.row(at.0);
        for index in steps.clone() {
            let chunk = chunks[index];
            forward.load(sequence, at, chunk);
            if !chunk.clears {
                self.keep(simd, (slots.start + chunk.kept, key_width), &all, memory);
            }
            let before = (!chunk.clears).then_some(&*memory);
            self.list(&mut forward.prefetch, at, chunk, chunks.get(index + 1).copied());
            forward.keys.turn(simd, extents.key, chunk.length);
            let (output, products) = forward.read(simd, sequence, at, chunk, before);
            self.store(at, chunk, (output, width), products);
            forward.write(simd, sequence, chunk, (memory, width), all.clone());
        }
        if steps.end == chunks.len() {
            self.keep(simd, (slots.end - 1, key_width), &all, memory);
        }
    }

    /// The memories alone.
    #[inline(always)]
    fn in_order<S: Simd>(
        &self,
        simd: S,
        forward: &mut Forward<E>,
        strips: &[Range<usize>],
        tasks: Range<usize>,
    ) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let (key_width, width) = widths::<S, E>(sequence);
        let mut room = Buffer::<E>::new(extents.key * width);
        for task in tasks {
            let (at, columns) = (extents.at(task / strips.len()), &strips[task % strips.len()]);
            let slots = self.cut.memories(at.0, at.1, extents.heads);
            let memory = &mut room[..extents.key * columns.len()];
            memory.fill(E::default());
            memory::load(self.memory, extents, at, columns, memory);
            for chunk in self.cut.row(at.0) {
                forward.load(sequence, at, *chunk);
                if !chunk.clears {
                    self.keep(simd, (slots.start + chunk.kept, key_width), columns, memory);
                }
                forward.write(simd, sequence, *chunk, (memory, columns.len()), columns.clone());
            }
            self.keep(simd, (slots.end - 1, key_width), columns, memory);
            // SAFETY: every range of columns of every head is one task's.
            unsafe { memory::store(self.last, extents, at, columns, memory) };
        }
    }

    /// Outputs, from the memories before them.
    #[inline(always)]
    fn each_chunk<S: Simd>(&self, simd: S, forward: &mut Forward<E>, chunks: &[(usize, usize)]) {
        let states = self.states.expect("a pass divided by chunks keeps what it makes in order");
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let (key_width, width) = widths::<S, E>(sequence);
        let size = extents.value * key_width;
        let mut memory = Buffer::<E>::new(extents.key * width);
        for (head, index) in chunks {
            let at = extents.at(*head);
            let chunk = &self.cut.row(at.0)[*index];
            let slot = self.cut.memories(at.0, at.1, extents.heads).start + chunk.kept;
            // SAFETY: the memories have all been written, and are only read from here on.
            let before = (!chunk.clears).then(|| unsafe { states.read(slot * size, size) });
            if let Some(before) = before {
                transpose(simd, (extents.value, extents.key), (before, key_width), (&mut memory, width));
            }
            let before = before.map(|_| &*memory);
            forward.load(sequence, at, *chunk);
            forward.keys.turn(simd, extents.key, chunk.length);
            let (output, products) = forward.read(simd, sequence, at, *chunk, before);
            self.store(at, *chunk, (output, width), products);
        }
    }
}

impl<E: Real> WithSimd for ForwardPass<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        tasks::run(simd, &self, self.division);
    }
}
