//! The forward pass over the chunks of one sequence and head.

use super::beta::{Beta, Strengths};
use super::solve::{Sides, Triangle};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk};
use crate::matrix_memory::cpu::forward::Forward as Chunks;
use crate::matrix_memory::cpu::reader::Reader;
use crate::matrix_memory::cpu::sequence::{Fading, Sequence};
use crate::matrix_memory::cpu::tokens::load;
use pulp::Simd;
use std::ops::Range;

/// The buffers of a forward pass.
pub(super) struct Forward<E> {
    /// Linear attention, whose values are what the tokens write.
    pub chunks: Chunks<E>,
    /// The keys, negated, as what reads the memory; its products are the [`Triangle`].
    pub eraser: Reader<E>,
    /// What each token's value differs from what the memory holds under its key.
    pub differences: Buffer<E>,
    /// The largest `β ‖k‖²` of all tokens so far.
    pub most: E,
    strengths: Strengths<E>,
    value_width: usize,
}

/// Copies the keys as rows that take out what they read.
#[inline(always)]
pub(super) fn negate<E: Real>(keys: &[E], rows: &mut [E]) {
    for (row, key) in rows.iter_mut().zip(keys) {
        *row = E::default() - *key;
    }
}

impl<E: Real> Forward<E> {
    /// For keys and values in rows of these widths.
    pub fn new(fading: Fading, beta: Beta<'_, E>, (key_width, value_width): (usize, usize)) -> Self {
        Self {
            chunks: Chunks::new(fading, (key_width, value_width)),
            eraser: Reader::new(fading, key_width),
            differences: Buffer::new(CHUNK * value_width),
            most: E::default(),
            strengths: Strengths::new(beta, value_width),
            value_width,
        }
    }

    /// Loads a chunk, up to what [`erase`](Self::erase) or [`recover`](Self::recover) makes.
    #[inline(always)]
    pub fn load<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        beta: Beta<'_, E>,
        at: (usize, usize),
        chunk: Chunk,
    ) {
        self.chunks.load(sequence, at, chunk);
        self.chunks.keys.turn(simd, sequence.extents.key, chunk.length);
        self.strengths.load(beta, &sequence.extents, at, chunk);
    }

    /// Makes differences, and of the values what is written: `columns` of both, for a chunk that meets `memory`, rows
    /// of these columns alone in `stride` elements.
    #[inline(always)]
    pub fn erase<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        chunk: Chunk,
        memory: Option<(&[E], usize)>,
        columns: Range<usize>,
    ) {
        let (length, width, extents) = (chunk.length, self.value_width, &sequence.extents);
        let Self { chunks, eraser, differences, strengths, most, .. } = self;
        let keys = &chunks.keys;
        negate(&keys.rows[..length * keys.width], &mut eraser.rows);
        eraser.fade_in_blocks(keys, length);
        eraser.multiply(simd, &chunks.prefetch, keys, extents.key, length);
        eraser.fade_from_the_start(keys, length);
        for i in 0..length {
            let squared = E::default() - eraser.products[i * CHUNK + i];
            let bound = strengths.most(i) * squared;
            *most = if bound > *most { bound } else { *most };
            let row = i * width + columns.start..i * width + columns.end;
            differences[row.clone()].copy_from_slice(&chunks.value[row]);
        }
        if let Some((memory, stride)) = memory {
            product(
                simd,
                &chunks.prefetch,
                Extent { rows: length, depth: extents.key, columns: columns.len() },
                Strided::rows(eraser.reads(keys), keys.width),
                (memory, stride),
                (&mut differences[columns.start..], width),
                Onto::Target,
            );
        }
        let sides = Sides { open: differences, solved: &mut chunks.value, width, columns };
        Triangle { length, products: &eraser.products, strengths }.down(simd, &chunks.prefetch, sides);
    }

    /// Makes of the values what is written, from differences `[b, t, h, v]` that have been made before.
    #[inline(always)]
    pub fn recover(
        &mut self,
        sequence: &Sequence<'_, E>,
        differences: &[E],
        at: (usize, usize),
        chunk: Chunk,
    ) {
        let (extents, width) = (&sequence.extents, self.value_width);
        load(differences, extents, at, chunk, extents.value, (&mut self.chunks.value, width));
        self.strengths.scale(&mut self.chunks.value[..chunk.length * width], width);
    }
}
