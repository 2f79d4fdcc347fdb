//! Channels as contiguous rows.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::transpose::{transpose, transpose_into};
use pulp::Simd;
use std::ops::Range;

/// A row of numbers for each channel of a tile.
#[derive(Debug)]
pub(super) struct Rows<E> {
    numbers: Buffer<E>,
    length: usize,
}

impl<E: Real> Rows<E> {
    /// Zeros.
    pub fn new(rows: usize, length: usize) -> Self {
        Self { numbers: Buffer::new(rows * length), length }
    }

    pub fn row(&self, index: usize) -> &[E] {
        &self.numbers[index * self.length..][..self.length]
    }

    pub fn row_mut(&mut self, index: usize) -> &mut [E] {
        &mut self.numbers[index * self.length..][..self.length]
    }

    /// All rows, one after another.
    pub fn all(&self) -> &[E] {
        &self.numbers
    }

    /// Fills the first `window` places of every row: `count` tokens of `sequence`, from token `start` on, after zeros.
    #[inline(always)]
    pub fn load_at_end<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        start: usize,
        count: usize,
        window: usize,
    ) {
        let Sequence { numbers, stride, channels } = sequence;
        self.clear(0..window - count);
        let from = MatRef::new(&numbers[start * stride + channels.start..], *stride);
        let length = self.length;
        let to = MatMut::new(&mut self.numbers[window - count..], length);
        transpose(simd, (count, channels.len()), from, to);
    }

    /// Zeros in `places` of every row.
    pub fn clear(&mut self, places: Range<usize>) {
        for row in self.numbers.chunks_exact_mut(self.length) {
            row[places.clone()].fill(E::default());
        }
    }

    /// Writes `places` of all rows to `output`, from its token `start` on, into the channels of `like`.
    ///
    /// # Safety
    ///
    /// No other thread may write or read these channels of these tokens meanwhile.
    #[inline(always)]
    pub unsafe fn store<S: Simd>(
        &self,
        simd: S,
        output: Output<'_, E>,
        start: usize,
        like: &Sequence<'_, E>,
        places: Range<usize>,
    ) {
        let (count, width) = (places.len(), like.channels.len());
        let to = output.place(start * like.stride + like.channels.start, (count - 1) * like.stride + width);
        let from = MatRef::new(&self.numbers[places.start..], self.length);
        // SAFETY: the place is good for the tile, and nobody else's as the caller promises.
        unsafe { transpose_into(simd, (width, count), from, to, like.stride) };
    }
}

/// Tokens of all sequences, `[b · n, stride]`, of which a tile reads its channels.
#[derive(Clone, Debug)]
pub(super) struct Sequence<'a, E> {
    pub numbers: &'a [E],
    pub stride: usize,
    pub channels: Range<usize>,
}
