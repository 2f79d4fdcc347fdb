//! The scratch memory of a chunk on the way back.

use super::beta::BetaRows;
use super::forward::negate;
use super::solve::{Sides, Triangle};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::matrix_memory::kernel::cpu::backward::{Backward as Chunks, Given};
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::extents::Widths;
use crate::matrix_memory::kernel::cpu::factors::multiply;
use crate::matrix_memory::kernel::cpu::sequence::Sequence;
use crate::matrix_memory::kernel::cpu::tokens::{Tokens, TokensMut};
use pulp::Simd;
use std::ops::Range;

pub(super) struct Backward<E> {
    /// Linear attention with two readers: the queries, and the negated keys, which read before their tokens write. The
    /// upstream gradient of what the second reads equals dV.
    pub chunks: Chunks<E, 2>,
    /// One number per token, or one row of the padded width of the values.
    beta_gradient: Buffer<E>,
    differences: Buffer<E>,
    beta: BetaRows<E>,
    value_width: usize,
}

impl<E: Real> Backward<E> {
    pub fn new<S: Simd>(sequence: &Sequence<'_, E>, beta: Tokens<'_, E>) -> Self {
        let widths = Widths::of::<S, E>(&sequence.extents);
        let beta = BetaRows::new(beta, widths.value);
        Self {
            chunks: Chunks::new(sequence.decay.fading, widths, [false, true]),
            beta_gradient: Buffer::new(CHUNK * beta.width),
            differences: Buffer::new(CHUNK * widths.value),
            beta,
            value_width: widths.value,
        }
    }

    /// The gradients of the betas.
    pub fn beta_gradient_rows(&self) -> MatRef<'_, E> {
        MatRef::new(&self.beta_gradient, self.beta.width)
    }

    /// Loads a chunk, for [`solve`](Self::solve).
    #[inline(always)]
    pub fn load(
        &mut self,
        sequence: &Sequence<'_, E>,
        beta: Tokens<'_, E>,
        upstream: &Tokens<'_, E>,
        place: Place,
    ) {
        self.chunks.keys.load(sequence, place);
        self.chunks.load_queries(sequence, upstream, place);
        self.beta.load(beta, place);
        let ([_, eraser], keys) = (&mut self.chunks.readers, &self.chunks.keys);
        negate(&keys.rows[..place.chunk.length * keys.width], &mut eraser.rows);
        eraser.fade_in_blocks(keys, place.chunk.length);
    }

    /// Computes `columns` of the gradients of u, what the tokens write, and of their values. `memory_gradient` begins
    /// at the first of these columns.
    #[inline(always)]
    pub fn solve<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        length: usize,
        [products, overlaps]: [&[E]; 2],
        memory_gradient: MatRef<'_, E>,
        columns: Range<usize>,
    ) {
        let Self { chunks, beta, .. } = self;
        chunks.keys.fade_to_the_end(length);
        chunks.d_values(simd, sequence, length, products, memory_gradient, columns.clone());
        let sides = Sides {
            open: &mut chunks.value_gradient,
            solved: &mut chunks.readers[1].upstream,
            width: self.value_width,
            columns,
        };
        Triangle { length, products: overlaps, beta }.up(simd, &chunks.prefetch, sides);
    }

    /// Loads the gradients of u that [`solve`](Self::solve) has computed and somebody has stored.
    ///
    /// # Safety
    ///
    /// They must have been written, and nobody may write those of this chunk and head meanwhile.
    #[inline(always)]
    pub unsafe fn recover(&mut self, stored: TokensMut<'_, E>, place: Place) {
        let Chunks { value_gradient, readers: [_, eraser], .. } = &mut self.chunks;
        // SAFETY: as the caller promises.
        unsafe { stored.load(place, MatMut::new(value_gradient, self.value_width)) };
        let all = ..place.chunk.length * self.value_width;
        eraser.upstream[all].copy_from_slice(&value_gradient[all]);
        self.beta.scale(&mut eraser.upstream[all], self.value_width);
    }

    /// All other gradients of a chunk's tokens. Requires [`solve`](Self::solve) for all columns, or
    /// [`recover`](Self::recover).
    #[inline(always)]
    pub fn tokens<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        place: Place,
        squares: [&[E]; 2],
        given: Given<'_, E>,
    ) {
        let (length, width) = (place.chunk.length, self.value_width);
        let all = ..length * width;
        // In a backward pass the sequence's values are the differences.
        sequence.value.load(place, MatMut::new(&mut self.differences, width));
        self.d_beta(simd, length);

        let chunks = &mut self.chunks;
        chunks.value[all].copy_from_slice(&self.differences[all]);
        self.beta.scale(&mut chunks.value[all], width);
        chunks.keys.fade_in_blocks(length); // `solve` has faded them on
        chunks.tokens(simd, sequence, place, squares, given);
        let keys = ..length * chunks.keys.width;
        for (key, row) in chunks.key_gradient[keys].iter_mut().zip(&chunks.readers[1].gradient[keys]) {
            *key = *key - *row; // the rows are negated keys
        }
    }

    /// `dβ = Σ_v du ⊙ r`, or without the sum.
    #[inline(always)]
    fn d_beta<S: Simd>(&mut self, simd: S, length: usize) {
        let (width, written) = (self.value_width, &self.chunks.value_gradient);
        if self.beta.width == 1 {
            for i in 0..length {
                let row = i * width..(i + 1) * width;
                self.beta_gradient[i] = dot(simd, &written[row.clone()], &self.differences[row]);
            }
        } else {
            let all = ..length * width;
            self.beta_gradient[all].copy_from_slice(&written[all]);
            multiply(&mut self.beta_gradient[all], &self.differences[all]);
        }
    }
}
