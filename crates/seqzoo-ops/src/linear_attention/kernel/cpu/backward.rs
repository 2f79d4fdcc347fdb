//! One chunk on the way back.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::matrix_memory::kernel::cpu::backward::{Backward, Given};
use crate::matrix_memory::kernel::cpu::backward_walk::BackwardChunk;
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::extents::Widths;
use crate::matrix_memory::kernel::cpu::sequence::{Fading, Sequence};
use crate::matrix_memory::kernel::cpu::tokens::{Tokens, TokensMut};
use pulp::Simd;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Chunks<'a, E> {
    pub sequence: Sequence<'a, E>,
    /// The products inside the chunks, `[b, h, t, CHUNK]`.
    pub products: &'a [E],
    /// The gradients of the outputs.
    pub upstream: Tokens<'a, E>,
    pub d_query: TokensMut<'a, E>,
    pub d_key: TokensMut<'a, E>,
    pub d_value: TokensMut<'a, E>,
    /// `[b, t, hd, 1 or k]`, whatever the decay's own shape.
    pub d_decay: Option<TokensMut<'a, E>>,
}

impl<E: Real> Chunks<'_, E> {
    #[inline(always)]
    fn products(&self, place: Place) -> &[E] {
        let extents = &self.sequence.extents;
        let start = (place.head_number(extents) * extents.time + place.chunk.start) * CHUNK;
        &self.products[start..][..place.chunk.length * CHUNK]
    }

    #[inline(always)]
    fn store(&self, backward: &Backward<E, 1>, place: Place, widths: Widths) {
        let Backward { readers: [queries], key_gradient, value_gradient, decay_gradient, .. } = backward;
        let decay_width = if self.sequence.decay.fading == Fading::PerChannel { widths.key } else { 1 };
        // SAFETY: every token of every head is one task's, and heads of a group come in order.
        unsafe {
            self.d_query.store(place, MatRef::new(&queries.gradient, widths.key));
            self.d_key.store(place, MatRef::new(key_gradient, widths.key));
            self.d_value.store(place, MatRef::new(value_gradient, widths.value));
            if let Some(d_decay) = self.d_decay {
                d_decay.store(place, MatRef::new(decay_gradient, decay_width));
            }
        }
    }
}

impl<E: Real> BackwardChunk<E> for Chunks<'_, E> {
    type Buffers = Backward<E, 1>;

    fn buffers<S: Simd>(&self, _: S) -> Backward<E, 1> {
        Backward::new(self.sequence.decay.fading, Widths::of::<S, E>(&self.sequence.extents), [false])
    }

    #[inline(always)]
    fn list(
        &self,
        Backward { prefetch, .. }: &mut Backward<E, 1>,
        place: Place,
        next: Option<Place>,
        state: Option<&[E]>,
    ) {
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
            let products = self.products(next);
            prefetch.run(products.as_ptr(), products.len());
        }
    }

    #[inline(always)]
    fn load(&self, backward: &mut Backward<E, 1>, place: Place) {
        backward.keys.load(&self.sequence, place);
        backward.load_queries(&self.sequence, &self.upstream, place);
        self.sequence.value.load(place, backward.value_rows());
    }

    #[inline(always)]
    fn load_for_memory(&self, backward: &mut Backward<E, 1>, place: Place) {
        backward.keys.factors.load(&self.sequence, place);
        backward.load_queries(&self.sequence, &self.upstream, place);
    }

    #[inline(always)]
    fn tokens<S: Simd>(
        &self,
        simd: S,
        backward: &mut Backward<E, 1>,
        place: Place,
        given: Given<'_, E>,
        memory_gradient: MatRef<'_, E>,
    ) {
        let (sequence, products, length) = (&self.sequence, self.products(place), place.chunk.length);
        let widths = Widths::of::<S, E>(&sequence.extents);
        backward.tokens(simd, sequence, place, [products], given);
        backward.keys.fade_to_the_end(length);
        backward.d_values(simd, sequence, length, products, memory_gradient, 0..widths.value);
        self.store(backward, place, widths);
    }

    #[inline(always)]
    fn write<S: Simd>(
        &self,
        simd: S,
        backward: &mut Backward<E, 1>,
        place: Place,
        memory_gradient: MatMut<'_, E>,
        columns: Range<usize>,
    ) {
        backward.write(simd, &self.sequence, place, memory_gradient, columns);
    }
}
