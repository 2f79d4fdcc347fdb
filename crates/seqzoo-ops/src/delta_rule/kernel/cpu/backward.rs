//! The backward pass over the chunks of one sequence and head.

use super::beta::{Beta, Strengths};
use super::forward::negate;
use super::solve::{Sides, Triangle};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::matrix_memory::cpu::backward::{Backward as Chunks, Given};
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk};
use crate::matrix_memory::cpu::factors::multiply;
use crate::matrix_memory::cpu::sequence::Sequence;
use crate::matrix_memory::cpu::tokens::load;
use pulp::Simd;
use std::ops::Range;

/// The buffers of a backward pass.
pub(super) struct Backward<E> {
    /// Linear attention with two readers: queries, and negated keys, which read what their tokens take out. What comes
    /// upstream of these is the gradient of the values.
    pub chunks: Chunks<E, 2>,
    /// One number per token, or one row of the padded width of the values.
    pub beta_gradient: Buffer<E>,
    differences: Buffer<E>,
    strengths: Strengths<E>,
    value_width: usize,
}

impl<E: Real> Backward<E> {
    /// For keys and values in rows of these widths.
    pub fn new(sequence: &Sequence<'_, E>, beta: Beta<'_, E>, widths: (usize, usize)) -> Self {
        let strengths = Strengths::new(beta, widths.1);
        Self {
            chunks: Chunks::new(sequence.decay.fading, widths, [false, true]),
            beta_gradient: Buffer::new(CHUNK * strengths.width),
            differences: Buffer::new(CHUNK * widths.1),
            strengths,
            value_width: widths.1,
        }
    }

    /// The padded width of the gradients of the strengths.
    pub fn beta_width(&self) -> usize {
        self.strengths.width
    }

    /// Loads a chunk; what [`solve`](Self::solve) needs.
    #[inline(always)]
    pub fn load(
        &mut self,
        sequence: &Sequence<'_, E>,
        beta: Beta<'_, E>,
        upstream: &[E],
        at: (usize, usize),
        chunk: Chunk,
    ) {
        let Self { chunks, strengths, .. } = self;
        chunks.keys.load(sequence, at, chunk);
        chunks.load_queries(sequence, upstream, at, chunk);
        strengths.load(beta, &sequence.extents, at, chunk);
        let ([_, eraser], keys) = (&mut chunks.readers, &chunks.keys);
        negate(&keys.rows[..chunk.length * keys.width], &mut eraser.rows);
        eraser.fade_in_blocks(keys, chunk.length);
    }

    /// The gradients of what the tokens write, and of their values: `columns` of both. `memory_gradient` has rows of
    /// these columns alone, in `stride` elements.
    #[inline(always)]
    pub fn solve<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        [products, triangle]: [&[E]; 2],
        memory_gradient: (&[E], usize),
        columns: Range<usize>,
    ) {
        let (length, channels) = (chunk.length, sequence.extents.key);
        let Self { chunks, strengths, .. } = self;
        chunks.keys.fade_to_the_end(length);
        chunks.of_values(simd, channels, length, products, memory_gradient, columns.clone());
        let sides = Sides {
            open: &mut chunks.value_gradient,
            solved: &mut chunks.readers[1].upstream,
            width: self.value_width,
            columns,
        };
        Triangle { length, products: triangle, strengths }.up(simd, &chunks.prefetch, sides);
    }

    /// Loads what [`solve`](Self::solve) has made of a chunk: the gradients of what its tokens write, `[b, t, h, v]`.
    ///
    /// # Safety
    ///
    /// They must have been written, and nobody may write those of this chunk and head meanwhile.
    #[inline(always)]
    pub unsafe fn recover(
        &mut self,
        sequence: &Sequence<'_, E>,
        solved: Output<'_, E>,
        at: (usize, usize),
        chunk: Chunk,
    ) {
        let (extents, width) = (&sequence.extents, self.value_width);
        let Chunks { value_gradient, readers: [_, eraser], .. } = &mut self.chunks;
        for (i, row) in value_gradient.chunks_exact_mut(width).take(chunk.length).enumerate() {
            let start = extents.token(at.0, chunk.start + i, at.1, extents.value);
            // SAFETY: as the caller promises.
            row[..extents.value].copy_from_slice(unsafe { solved.read(start, extents.value) });
        }
        let all = ..chunk.length * width;
        eraser.upstream[all].copy_from_slice(&value_gradient[all]);
        self.strengths.scale(&mut eraser.upstream[all], width);
    }

    /// All other gradients of a chunk's tokens; [`solve`](Self::solve) has been called for all columns, or
    /// [`recover`](Self::recover).
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        at: (usize, usize),
        chunk: Chunk,
        differences: &[E],
        given: Given<'_, E, 2>,
    ) {
        let (extents, length, width) = (&sequence.extents, chunk.length, self.value_width);
        let all = ..length * width;
        load(differences, extents, at, chunk, extents.value, (&mut self.differences, width));
        self.of_strengths(simd, length);

        let chunks = &mut self.chunks;
        chunks.value[all].copy_from_slice(&self.differences[all]);
        self.strengths.scale(&mut chunks.value[all], width);
        chunks.keys.fade_in_blocks(length); // `solve` has faded them on
        chunks.read(simd, sequence, chunk, given);
        let keys = ..length * chunks.keys.width;
        for (key, row) in chunks.key_gradient[keys].iter_mut().zip(&chunks.readers[1].gradient[keys]) {
            *key = *key - *row; // the rows are negated keys
        }
    }

    /// `dβ = Σ_v du ⊙ r`, or without the sum.
    #[inline(always)]
    fn of_strengths<S: Simd>(&mut self, simd: S, length: usize) {
        let (width, written) = (self.value_width, &self.chunks.value_gradient);
        if self.strengths.width == 1 {
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
