//! The strengths of a chunk's tokens.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::matrix_memory::cpu::chunks::{CHUNK, Chunk};
use crate::matrix_memory::cpu::factors::multiply;
use crate::matrix_memory::cpu::sequence::Extents;
use crate::matrix_memory::cpu::tokens::{load, scale_rows};
use pulp::Simd;

/// A call's strengths, `[b, t, h, 1]` or `[b, t, h, v]`.
#[derive(Clone, Copy)]
pub(super) struct Beta<'a, E> {
    pub numbers: &'a [E],
    /// 1 or `v`.
    pub channels: usize,
}

/// The strengths of a chunk's tokens: one number each, or one row of the padded width of the values.
pub(super) struct Strengths<E> {
    numbers: Buffer<E>,
    /// 1, or the padded width of the values.
    pub width: usize,
}

impl<E: Real> Strengths<E> {
    /// For values in rows of `value_width`.
    pub fn new(beta: Beta<'_, E>, value_width: usize) -> Self {
        let width = if beta.channels == 1 { 1 } else { value_width };
        Self { numbers: Buffer::new(CHUNK * width), width }
    }

    /// Loads the strengths of `chunk`.
    #[inline(always)]
    pub fn load(&mut self, beta: Beta<'_, E>, extents: &Extents, at: (usize, usize), chunk: Chunk) {
        load(beta.numbers, extents, at, chunk, beta.channels, (&mut self.numbers, self.width));
    }

    /// A vector of the strengths of a token, from a column on.
    #[inline(always)]
    pub fn at<S: Simd>(&self, simd: S, token: usize, column: usize) -> E::Vector<S> {
        if self.width == 1 {
            E::splat(simd, self.numbers[token])
        } else {
            E::vectors::<S>(&self.numbers[token * self.width + column..])[0]
        }
    }

    /// The largest strength of a token.
    #[inline(always)]
    pub fn most(&self, token: usize) -> E {
        let row = &self.numbers[token * self.width..][..self.width];
        row.iter().fold(E::default(), |most, number| if *number > most { *number } else { most })
    }

    /// Multiplies rows of `width`, one per token, by the strengths.
    #[inline(always)]
    pub fn scale(&self, rows: &mut [E], width: usize) {
        if self.width == 1 { scale_rows(rows, width, &self.numbers) } else { multiply(rows, &self.numbers) }
    }
}
