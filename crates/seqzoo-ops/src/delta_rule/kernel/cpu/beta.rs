//! The betas of a chunk's tokens.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::MatMut;
use crate::matrix_memory::kernel::cpu::chunks::{CHUNK, Place};
use crate::matrix_memory::kernel::cpu::factors::multiply;
use crate::matrix_memory::kernel::cpu::fade::scale_rows;
use crate::matrix_memory::kernel::cpu::tokens::Tokens;
use pulp::Simd;

/// One number per token, or one row of the padded width of the values.
pub(super) struct BetaRows<E> {
    numbers: Buffer<E>,
    /// 1, or the padded width of the values.
    pub width: usize,
}

impl<E: Real> BetaRows<E> {
    /// For values in rows of `value_width`.
    pub fn new(beta: Tokens<'_, E>, value_width: usize) -> Self {
        let width = if beta.layout.channels == 1 { 1 } else { value_width };
        Self { numbers: Buffer::new(CHUNK * width), width }
    }

    #[inline(always)]
    pub fn load(&mut self, beta: Tokens<'_, E>, place: Place) {
        beta.load(place, MatMut::new(&mut self.numbers, self.width));
    }

    /// A vector of the betas of a token, from a column on.
    #[inline(always)]
    pub fn at<S: Simd>(&self, simd: S, token: usize, column: usize) -> E::Vector<S> {
        if self.width == 1 {
            E::splat(simd, self.numbers[token])
        } else {
            E::vectors::<S>(&self.numbers[token * self.width + column..])[0]
        }
    }

    /// Multiplies rows of `width`, one per token, by the betas.
    #[inline(always)]
    pub fn scale(&self, rows: &mut [E], width: usize) {
        if self.width == 1 { scale_rows(rows, width, &self.numbers) } else { multiply(rows, &self.numbers) }
    }
}
