//! One chunk on the way back.

use super::backward::Backward;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::matrix_memory::kernel::cpu::backward::Given;
use crate::matrix_memory::kernel::cpu::backward_walk::BackwardChunk;
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::extents::Widths;
use crate::matrix_memory::kernel::cpu::sequence::{Fading, Sequence};
use crate::matrix_memory::kernel::cpu::tokens::{Tokens, TokensMut};
use pulp::Simd;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Chunks<'a, E> {
    /// With the differences as its values.
    pub sequence: Sequence<'a, E>,
    pub beta: Tokens<'a, E>,
    /// The products of queries with keys inside the chunks, `[b, h, t, CHUNK]`.
    pub products: &'a [E],
    /// The products of negated keys with keys.
    pub overlaps: &'a [E],
    /// The gradients of the outputs.
    pub upstream: Tokens<'a, E>,
    pub d_query: TokensMut<'a, E>,
    pub d_key: TokensMut<'a, E>,
    pub d_value: TokensMut<'a, E>,
    pub d_beta: TokensMut<'a, E>,
    /// `[b, t, hd, 1 or k]`, whatever the decay's own shape.
    pub d_decay: Option<TokensMut<'a, E>>,
}

impl<E: Real> Chunks<'_, E> {
    #[inline(always)]
    fn squares(&self, place: Place) -> [&[E]; 2] {
        let extents = &self.sequence.extents;
        let start = (place.head_number(extents) * extents.time + place.chunk.start) * CHUNK;
        [self.products, self.overlaps].map(|squares| &squares[start..][..place.chunk.length * CHUNK])
    }

    #[inline(always)]
    fn store(&self, backward: &Backward<E>, place: Place, widths: Widths) {
        let [queries, eraser] = &backward.chunks.readers;
        let decay_width = if self.sequence.decay.fading == Fading::PerChannel { widths.key } else { 1 };
        // SAFETY: every token of every head is one task's, and heads of a group come in order.
        unsafe {
            self.d_query.store(place, MatRef::new(&queries.gradient, widths.key));
            self.d_key.store(place, MatRef::new(&backward.chunks.key_gradient, widths.key));
            self.d_value.store(place, MatRef::new(&eraser.upstream, widths.value));
            self.d_beta.store(place, backward.beta_gradient_rows());
            if let Some(d_decay) = self.d_decay {
                d_decay.store(place, MatRef::new(&backward.chunks.decay_gradient, decay_width));
            }
        }
    }
}

impl<E: Real> BackwardChunk<E> for Chunks<'_, E> {
    type Buffers = Backward<E>;

    fn buffers<S: Simd>(&self, _: S) -> Backward<E> {
        Backward::new::<S>(&self.sequence, self.beta)
    }

    #[inline(always)]
    fn list(&self, backward: &mut Backward<E>, place: Place, next: Option<Place>, state: Option<&[E]>) {
        let prefetch = &mut backward.chunks.prefetch;
        prefetch.clear();
        if let Some(next) = next {
            self.sequence.query.list(prefetch, next);
            self.upstream.list(prefetch, next);
            self.sequence.key.list(prefetch, next);
            self.sequence.value.list(prefetch, next);
        }
        self.d_query.list(prefetch, place);
        self.d_key.list(prefetch, place);
        self.d_value.list(prefetch, place);
        if let Some(state) = state {
            prefetch.run(state.as_ptr(), state.len());
        }
        if let Some(next) = next {
            for square in self.squares(next) {
                prefetch.run(square.as_ptr(), square.len());
            }
        }
    }

    #[inline(always)]
    fn load(&self, backward: &mut Backward<E>, place: Place) {
        backward.load(&self.sequence, self.beta, &self.upstream, place);
    }

    #[inline(always)]
    fn load_for_memory(&self, backward: &mut Backward<E>, place: Place) {
        self.load(backward, place);
    }

    #[inline(always)]
    fn solve<S: Simd>(
        &self,
        simd: S,
        backward: &mut Backward<E>,
        place: Place,
        memory_gradient: MatRef<'_, E>,
        columns: Range<usize>,
    ) {
        let (length, squares) = (place.chunk.length, self.squares(place));
        backward.solve(simd, &self.sequence, length, squares, memory_gradient, columns);
    }

    /// The gradients of u are stored as those of the values, which replace them later.
    #[inline(always)]
    fn keep(&self, backward: &mut Backward<E>, place: Place, columns: Range<usize>) {
        // SAFETY: every range of columns of every head is one task's.
        unsafe { self.d_value.store_columns(place, backward.chunks.value_gradient_rows(), columns) };
    }

    #[inline(always)]
    fn recover(&self, backward: &mut Backward<E>, place: Place) {
        // SAFETY: an earlier walk has kept them, and every chunk of every head is one task's.
        unsafe { backward.recover(self.d_value, place) };
    }

    #[inline(always)]
    fn tokens<S: Simd>(
        &self,
        simd: S,
        backward: &mut Backward<E>,
        place: Place,
        given: Given<'_, E>,
        _: MatRef<'_, E>,
    ) {
        backward.tokens(simd, &self.sequence, place, self.squares(place), given);
        self.store(backward, place, Widths::of::<S, E>(&self.sequence.extents));
    }

    #[inline(always)]
    fn write<S: Simd>(
        &self,
        simd: S,
        backward: &mut Backward<E>,
        place: Place,
        memory_gradient: MatMut<'_, E>,
        columns: Range<usize>,
    ) {
        backward.chunks.write(simd, &self.sequence, place, memory_gradient, columns);
    }
}
