//! The keys of a chunk, as they are written and as they are read.

use super::chunks::{BLOCK, CHUNK, Place};
use super::factors::Factors;
use super::fade::{fade_in_blocks, fade_to_the_end};
use super::sequence::{Fading, Sequence};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;

/// The keys of a chunk and its decays.
pub(crate) struct KeyRows<E> {
    /// In rows of the padded width.
    pub rows: Buffer<E>,
    /// Transposed: all tokens, or, where every channel has its own decay, those of the first block as the second one
    /// reads them.
    pub columns: Buffer<E>,
    /// Faded to the end of their block, and by [`fade_to_the_end`](Self::fade_to_the_end) of the chunk.
    pub writes: Buffer<E>,
    /// The decays.
    pub factors: Factors<E>,
    /// The padded width.
    pub width: usize,
    /// How the memory fades.
    pub fading: Fading,
}

impl<E: Real> KeyRows<E> {
    /// For channels in rows of `width`.
    pub fn new(fading: Fading, width: usize) -> Self {
        let size = CHUNK * width;
        Self {
            rows: Buffer::new(size),
            columns: Buffer::new(size),
            writes: Buffer::new(if fading == Fading::None { 0 } else { size }),
            factors: Factors::new(width, fading),
            width,
            fading,
        }
    }

    /// Loads the keys and decays of a chunk.
    #[inline(always)]
    pub fn load(&mut self, sequence: &Sequence<'_, E>, place: Place) {
        sequence.key.load(place, MatMut::new(&mut self.rows, self.width));
        self.factors.load(sequence, place);
        self.fade_in_blocks(place.chunk.length);
    }

    /// Fades [`writes`](Self::writes) to the end of their blocks.
    #[inline(always)]
    pub fn fade_in_blocks(&mut self, length: usize) {
        if self.fading != Fading::None {
            fade_in_blocks(
                length,
                self.width,
                self.fading,
                &self.rows,
                &self.factors.after,
                &mut self.writes,
            );
        }
    }

    /// Fades [`writes`](Self::writes) on to the end of the chunk.
    #[inline(always)]
    pub fn fade_to_the_end(&mut self, length: usize) {
        if self.fading == Fading::PerChannel {
            fade_to_the_end(length, self.width, &self.factors, &mut self.writes);
        }
    }

    /// The keys as they are written into the memory after the chunk.
    #[inline(always)]
    pub fn written(&self) -> &[E] {
        if self.fading == Fading::None { &self.rows } else { &self.writes }
    }

    /// Makes [`columns`](Self::columns), of `channels` channels.
    #[inline(always)]
    pub fn transpose<S: Simd>(&mut self, simd: S, channels: usize, length: usize) {
        let (tokens, rows) = match self.fading {
            Fading::None | Fading::Shared => (length, &self.rows),
            Fading::PerChannel if length > BLOCK => (BLOCK, &self.writes),
            Fading::PerChannel => return,
        };
        let columns = MatMut::new(&mut self.columns, CHUNK);
        transpose(simd, (tokens, channels), MatRef::new(rows, self.width), columns);
    }
}
