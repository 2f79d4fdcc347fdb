//! One chunk on the way forward.

use super::forward::Forward;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::forward_walk::ForwardChunk;
use crate::matrix_memory::kernel::cpu::sequence::Sequence;
use crate::matrix_memory::kernel::cpu::tokens::{Tokens, TokensMut};
use pulp::Simd;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Chunks<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub beta: Tokens<'a, E>,
    pub output: TokensMut<'a, E>,
    /// The differences `[b, t, h, v]`: for a backward pass, or where the work is divided by chunks.
    pub differences: Option<TokensMut<'a, E>>,
    /// If a backward pass follows.
    pub squares: Option<Squares<'a, E>>,
}

/// Products inside the chunks, `[b, h, t, CHUNK]`.
#[derive(Clone, Copy)]
pub(super) struct Squares<'a, E> {
    /// Of queries with keys.
    pub products: Output<'a, E>,
    /// Of negated keys with keys.
    pub overlaps: Output<'a, E>,
}

impl<E: Real> Chunks<'_, E> {
    /// Saves a square in rows of [`CHUNK`].
    #[inline(always)]
    fn save(&self, place: Place, to: Output<'_, E>, square: &[E]) {
        let extents = &self.sequence.extents;
        let start = (place.head_number(extents) * extents.time + place.chunk.start) * CHUNK;
        // SAFETY: every chunk of every head is one task's.
        unsafe { to.write(start, &square[..place.chunk.length * CHUNK]) };
    }
}

impl<E: Real> ForwardChunk<E> for Chunks<'_, E> {
    type Buffers = Forward<E>;

    fn buffers<S: Simd>(&self, _: S) -> Forward<E> {
        Forward::new::<S>(&self.sequence, self.beta)
    }

    #[inline(always)]
    fn list(&self, forward: &mut Forward<E>, place: Place, next: Option<Place>) {
        let prefetch = &mut forward.chunks.prefetch;
        prefetch.clear();
        self.output.list(prefetch, place);
        if let Some(differences) = self.differences {
            differences.list(prefetch, place);
        }
        if let Some(next) = next {
            self.sequence.key.list(prefetch, next);
            self.sequence.value.list(prefetch, next);
            self.sequence.query.list(prefetch, next);
        }
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, forward: &mut Forward<E>, place: Place) {
        forward.load(simd, &self.sequence, self.beta, place);
    }

    #[inline(always)]
    fn solve<S: Simd>(
        &self,
        simd: S,
        forward: &mut Forward<E>,
        place: Place,
        memory: Option<MatRef<'_, E>>,
        columns: Range<usize>,
    ) {
        forward.solve(simd, &self.sequence, place.chunk.length, memory, columns.clone());
        if let (Some(squares), 0) = (self.squares, columns.start) {
            self.save(place, squares.overlaps, &forward.eraser.products);
        }
        if let Some(differences) = self.differences {
            // SAFETY: every range of columns of every head is one task's.
            unsafe { differences.store_columns(place, forward.difference_rows(), columns) };
        }
    }

    #[inline(always)]
    fn recover(&self, forward: &mut Forward<E>, place: Place) {
        let differences = self.differences.expect("a pass that is divided by chunks has differences");
        // SAFETY: they have all been written, and are only read from here on.
        forward.recover(unsafe { differences.written() }, place);
    }

    #[inline(always)]
    fn read<S: Simd>(&self, simd: S, forward: &mut Forward<E>, place: Place, memory: Option<MatRef<'_, E>>) {
        let (output, products) = forward.chunks.read(simd, &self.sequence, place, memory);
        // SAFETY: every token of every head is one task's.
        unsafe { self.output.store(place, output) };
        if let Some(squares) = self.squares {
            self.save(place, squares.products, products);
        }
    }

    #[inline(always)]
    fn write<S: Simd>(
        &self,
        simd: S,
        forward: &mut Forward<E>,
        place: Place,
        memory: MatMut<'_, E>,
        columns: Range<usize>,
    ) {
        forward.chunks.write(simd, &self.sequence, place, memory, columns);
    }
}
