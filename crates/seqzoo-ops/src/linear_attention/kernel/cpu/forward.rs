//! One chunk on the way forward.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::extents::Widths;
use crate::matrix_memory::kernel::cpu::forward::Forward;
use crate::matrix_memory::kernel::cpu::forward_walk::ForwardChunk;
use crate::matrix_memory::kernel::cpu::sequence::Sequence;
use crate::matrix_memory::kernel::cpu::tokens::TokensMut;
use pulp::Simd;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Chunks<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub output: TokensMut<'a, E>,
    /// The products inside the chunks, `[b, h, t, CHUNK]`, if a backward pass follows.
    pub products: Option<Output<'a, E>>,
}

impl<E: Real> ForwardChunk<E> for Chunks<'_, E> {
    type Buffers = Forward<E>;

    fn buffers<S: Simd>(&self, _: S) -> Forward<E> {
        Forward::new(self.sequence.decay.fading, Widths::of::<S, E>(&self.sequence.extents))
    }

    #[inline(always)]
    fn list(&self, Forward { prefetch, .. }: &mut Forward<E>, place: Place, next: Option<Place>) {
        prefetch.clear();
        self.output.list(prefetch, place);
        if let Some(next) = next {
            self.sequence.key.list(prefetch, next);
            self.sequence.value.list(prefetch, next);
            self.sequence.query.list(prefetch, next);
        }
    }

    #[inline(always)]
    fn load<S: Simd>(&self, _: S, forward: &mut Forward<E>, place: Place) {
        forward.load(&self.sequence, place);
    }

    #[inline(always)]
    fn read<S: Simd>(&self, simd: S, forward: &mut Forward<E>, place: Place, memory: Option<MatRef<'_, E>>) {
        let extents = &self.sequence.extents;
        forward.keys.transpose(simd, extents.key, place.chunk.length);
        let (output, products) = forward.read(simd, &self.sequence, place, memory);
        // SAFETY: every token of every head is one task's.
        unsafe { self.output.store(place, output) };
        if let Some(saved) = self.products {
            let start = (place.head_number(extents) * extents.time + place.chunk.start) * CHUNK;
            // SAFETY: as above.
            unsafe { saved.write(start, &products[..place.chunk.length * CHUNK]) };
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
        forward.write(simd, &self.sequence, place, memory, columns);
    }
}
