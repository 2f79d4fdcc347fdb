//! The forward pass over a batch.

use super::beta::Beta;
use super::forward::Forward;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::transpose::transpose;
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk};
use crate::matrix_memory::cpu::forward::widths;
use crate::matrix_memory::cpu::memory;
use crate::matrix_memory::cpu::sequence::{Cut, Sequence};
use crate::matrix_memory::cpu::tasks::{self, Division, Pass};
use crate::matrix_memory::cpu::tokens::{self, list};
use pulp::{Simd, WithSimd};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A forward pass: what it reads and what it fills.
#[derive(Clone, Copy)]
pub(super) struct ForwardPass<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub beta: Beta<'a, E>,
    pub cut: &'a Cut,
    pub memory: &'a [E],
    pub output: Output<'a, E>,
    /// The final memories `[b, h, k, v]`.
    pub last: Output<'a, E>,
    /// Wanted by a backward pass, or where the work is divided by chunks.
    pub made: Option<Made<'a, E>>,
    /// Wanted by a backward pass.
    pub squares: Option<Squares<'a, E>>,
    pub division: Division,
    pub most: &'a Most,
}

/// The largest `β ‖k‖²` of a call, found by several tasks.
#[derive(Debug, Default)]
pub(super) struct Most(AtomicU64);

impl Most {
    /// Takes in what a task has found, which is not negative.
    pub fn take<E: Real>(&self, most: E) {
        // Numbers that are not negative are in the order of their bits.
        self.0.fetch_max(most.into_f64().to_bits(), Ordering::Relaxed);
    }

    /// What was found.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// What must be made in order, from the first chunk to the last.
#[derive(Clone, Copy)]
pub(super) struct Made<'a, E> {
    /// The memories that [`Cut`] keeps, as [`memory::keep`] does.
    pub states: Output<'a, E>,
    /// `[b, t, h, v]`.
    pub differences: Output<'a, E>,
}

/// Products inside the chunks, `[b, h, t, CHUNK]`.
#[derive(Clone, Copy)]
pub(super) struct Squares<'a, E> {
    /// Of queries with keys.
    pub products: Output<'a, E>,
    /// Of negated keys with keys.
    pub triangles: Output<'a, E>,
}

impl<E: Real> ForwardPass<'_, E> {
    /// Keeps `columns` of a memory in a slot, if memories are to be kept.
    fn keep<S: Simd>(&self, simd: S, slot: (usize, usize), columns: &Range<usize>, memory: &[E]) {
        if let Some(made) = self.made {
            // SAFETY: every head and every range of columns is one task's.
            unsafe { memory::keep(simd, made.states, &self.sequence.extents, slot, columns, memory) };
        }
    }

    /// Keeps `columns` of a chunk's differences, if they are to be kept.
    fn keep_differences(
        &self,
        at: (usize, usize),
        chunk: Chunk,
        columns: &Range<usize>,
        rows: (&[E], usize),
    ) {
        if let Some(made) = self.made {
            let (extents, columns) = (&self.sequence.extents, columns.clone());
            // SAFETY: every range of columns of every head is one task's.
            unsafe {
                tokens::store_columns(made.differences, extents, at, chunk, extents.value, rows, columns);
            }
        }
    }

    fn triangles(&self) -> Option<Output<'_, E>> {
        self.squares.map(|squares| squares.triangles)
    }

    /// Keeps a square in rows of [`CHUNK`], if there is room for it.
    fn keep_square(&self, at: (usize, usize), chunk: Chunk, to: Option<Output<'_, E>>, square: &[E]) {
        if let Some(to) = to {
            let start = (self.sequence.extents.head(at) * self.sequence.extents.time + chunk.start) * CHUNK;
            // SAFETY: every chunk of every head is one task's.
            unsafe { to.write(start, &square[..chunk.length * CHUNK]) };
        }
    }

    /// Lists what the chunk will write and the next one will read.
    #[inline(always)]
    fn list(&self, prefetch: &mut Prefetch, at: (usize, usize), chunk: Chunk, next: Option<Chunk>) {
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        prefetch.clear();
        list(prefetch, self.output.start(), extents, at, chunk, extents.value);
        if let Some(made) = self.made {
            list(prefetch, made.differences.start(), extents, at, chunk, extents.value);
        }
        if let Some(next) = next {
            list(prefetch, sequence.key.as_ptr(), extents, at, next, extents.key);
            list(prefetch, sequence.value.as_ptr(), extents, at, next, extents.value);
            list(prefetch, sequence.query.as_ptr(), extents, at, next, extents.key);
        }
    }

    /// The outputs of a chunk whose written values are there.
    #[inline(always)]
    fn read<S: Simd>(
        &self,
        simd: S,
        forward: &mut Forward<E>,
        at: (usize, usize),
        chunk: Chunk,
        before: Option<&[E]>,
        width: usize,
    ) {
        let extents = &self.sequence.extents;
        let (output, products) = forward.chunks.read(simd, &self.sequence, at, chunk, before);
        // SAFETY: every token of every head is one task's.
        unsafe { tokens::store(self.output, extents, at, chunk, extents.value, (output, width)) };
        self.keep_square(at, chunk, self.squares.map(|squares| squares.products), products);
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
        Forward::new(self.sequence.decay.fading, self.beta, widths::<S, E>(&self.sequence))
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
            if !chunk.clears {
                self.keep(simd, (slots.start + chunk.kept, key_width), &all, memory);
            }
            self.list(&mut forward.chunks.prefetch, at, chunk, chunks.get(index + 1).copied());
            forward.load(simd, sequence, self.beta, at, chunk);
            let before = (!chunk.clears).then_some(&*memory);
            forward.erase(simd, sequence, chunk, before.map(|memory| (memory, width)), all.clone());
            self.keep_differences(at, chunk, &all, (&forward.differences, width));
            self.keep_square(at, chunk, self.triangles(), &forward.eraser.products);
            self.read(simd, forward, at, chunk, before, width);
            forward.chunks.write(simd, sequence, chunk, (memory, width), all.clone());
        }
        if steps.end == chunks.len() {
            self.keep(simd, (slots.end - 1, key_width), &all, memory);
        }
        self.most.take(forward.most);
    }

    /// Differences and memories alone.
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
                if !chunk.clears {
                    self.keep(simd, (slots.start + chunk.kept, key_width), columns, memory);
                }
                forward.load(simd, sequence, self.beta, at, *chunk);
                let before = (!chunk.clears).then_some((&*memory, columns.len()));
                forward.erase(simd, sequence, *chunk, before, columns.clone());
                self.keep_differences(at, *chunk, columns, (&forward.differences, width));
                if columns.start == 0 {
                    self.keep_square(at, *chunk, self.triangles(), &forward.eraser.products);
                }
                forward.chunks.write(simd, sequence, *chunk, (memory, columns.len()), columns.clone());
            }
            self.keep(simd, (slots.end - 1, key_width), columns, memory);
            // SAFETY: every range of columns of every head is one task's.
            unsafe { memory::store(self.last, extents, at, columns, memory) };
        }
        self.most.take(forward.most);
    }

    /// Outputs, from what has been made before.
    #[inline(always)]
    fn each_chunk<S: Simd>(&self, simd: S, forward: &mut Forward<E>, chunks: &[(usize, usize)]) {
        let made = self.made.expect("a pass divided by chunks keeps what it makes in order");
        let (sequence, extents) = (&self.sequence, &self.sequence.extents);
        let (key_width, width) = widths::<S, E>(sequence);
        let size = extents.value * key_width;
        let mut memory = Buffer::<E>::new(extents.key * width);
        // SAFETY: the differences have all been written, and are only read from here on.
        let differences = unsafe { made.differences.read(0, sequence.value.len()) };
        for (head, index) in chunks {
            let at = extents.at(*head);
            let chunk = self.cut.row(at.0)[*index];
            let slot = self.cut.memories(at.0, at.1, extents.heads).start + chunk.kept;
            // SAFETY: as above for the memories.
            let before = (!chunk.clears).then(|| unsafe { made.states.read(slot * size, size) });
            if let Some(before) = before {
                transpose(simd, (extents.value, extents.key), (before, key_width), (&mut memory, width));
            }
            let before = before.map(|_| &*memory);
            forward.load(simd, sequence, self.beta, at, chunk);
            forward.recover(sequence, differences, at, chunk);
            self.read(simd, forward, at, chunk, before, width);
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
