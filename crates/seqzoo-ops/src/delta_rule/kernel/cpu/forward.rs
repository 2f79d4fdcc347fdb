//! The scratch memory of a chunk on the way forward.

use super::beta::BetaRows;
use super::solve::{Sides, Triangle};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::extents::Widths;
use crate::matrix_memory::kernel::cpu::forward::Forward as Chunks;
use crate::matrix_memory::kernel::cpu::reader::Reader;
use crate::matrix_memory::kernel::cpu::sequence::Sequence;
use crate::matrix_memory::kernel::cpu::tokens::Tokens;
use pulp::Simd;
use std::ops::Range;

pub(super) struct Forward<E> {
    /// Linear attention, whose values are `u`, what the tokens write.
    pub chunks: Chunks<E>,
    /// The negated keys, which read the memory before their tokens write; its products are the [`Triangle`].
    pub eraser: Reader<E>,
    /// `r`: the difference between each value and what the memory holds under its key.
    pub differences: Buffer<E>,
    beta: BetaRows<E>,
    value_width: usize,
}

/// Copies the keys with the opposite sign, for readers whose outputs are subtracted.
#[inline(always)]
pub(super) fn negate<E: Real>(keys: &[E], rows: &mut [E]) {
    for (row, key) in rows.iter_mut().zip(keys) {
        *row = E::default() - *key;
    }
}

impl<E: Real> Forward<E> {
    pub fn new<S: Simd>(sequence: &Sequence<'_, E>, beta: Tokens<'_, E>) -> Self {
        let (fading, widths) = (sequence.decay.fading, Widths::of::<S, E>(&sequence.extents));
        Self {
            chunks: Chunks::new(fading, widths),
            eraser: Reader::new(fading, widths.key),
            differences: Buffer::new(CHUNK * widths.value),
            beta: BetaRows::new(beta, widths.value),
            value_width: widths.value,
        }
    }

    /// The differences, in rows of the padded width.
    pub fn difference_rows(&self) -> MatRef<'_, E> {
        MatRef::new(&self.differences, self.value_width)
    }

    /// Loads a chunk, up to what [`solve`](Self::solve) or [`recover`](Self::recover) computes.
    #[inline(always)]
    pub fn load<S: Simd>(&mut self, simd: S, sequence: &Sequence<'_, E>, beta: Tokens<'_, E>, place: Place) {
        self.chunks.load(sequence, place);
        self.chunks.keys.transpose(simd, sequence.extents.key, place.chunk.length);
        self.beta.load(beta, place);
    }

    /// Solves the chunk for `columns`: fills `differences` (r) and overwrites the values with what is written
    /// (u = beta r). `memory` begins at the first of these columns.
    #[inline(always)]
    pub fn solve<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        length: usize,
        memory: Option<MatRef<'_, E>>,
        columns: Range<usize>,
    ) {
        let (width, extents) = (self.value_width, &sequence.extents);
        let Self { chunks, eraser, differences, beta, .. } = self;
        let keys = &chunks.keys;
        negate(&keys.rows[..length * keys.width], &mut eraser.rows);
        eraser.fade_in_blocks(keys, length);
        eraser.multiply(simd, &chunks.prefetch, keys, extents.key, length);
        eraser.fade_from_the_start(keys, length);
        for i in 0..length {
            let row = i * width + columns.start..i * width + columns.end;
            differences[row.clone()].copy_from_slice(&chunks.value[row]);
        }
        if let Some(memory) = memory {
            product(
                simd,
                &chunks.prefetch,
                Extent { rows: length, depth: extents.key, columns: columns.len() },
                Strided::rows(eraser.reads(keys), keys.width),
                memory,
                MatMut::new(&mut differences[columns.start..], width),
                Onto::Target,
            );
        }
        let sides = Sides { open: differences, solved: &mut chunks.value, width, columns };
        Triangle { length, products: &eraser.products, beta }.down(simd, &chunks.prefetch, sides);
    }

    /// Overwrites the values with what is written, from differences `[b, t, h, v]` that were computed before.
    #[inline(always)]
    pub fn recover(&mut self, differences: Tokens<'_, E>, place: Place) {
        let width = self.value_width;
        differences.load(place, MatMut::new(&mut self.chunks.value, width));
        self.beta.scale(&mut self.chunks.value[..place.chunk.length * width], width);
    }
}
