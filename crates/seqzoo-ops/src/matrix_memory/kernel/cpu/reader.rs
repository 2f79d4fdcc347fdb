//! Output that read what the keys of a chunk have written.

use super::chunks::{BLOCK, CHUNK};
use super::factors;
use super::fade::{blocks, clear_later, fade_from_the_start, fade_in_blocks};
use super::keys::KeyRows;
use super::sequence::Fading;
use super::within_block;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;

/// Output of a chunk and what they read of its keys.
pub(crate) struct Reader<E> {
    /// One row per token, of the padded width of the keys.
    pub rows: Buffer<E>,
    /// The rows faded from the start of their block, and by [`fade_from_the_start`](Self::fade_from_the_start) of
    /// the chunk.
    pub faded: Buffer<E>,
    /// The product of the row of token i with the key of token j, decayed, 0 where j is later; in rows of [`CHUNK`].
    pub products: Buffer<E>,
}

impl<E: Real> Reader<E> {
    /// For rows of `width`.
    pub fn new(fading: Fading, width: usize) -> Self {
        Self {
            rows: Buffer::new(CHUNK * width),
            faded: Buffer::new(if fading == Fading::None { 0 } else { CHUNK * width }),
            products: Buffer::new(CHUNK * CHUNK),
        }
    }

    /// Fades the rows from the start of their blocks.
    #[inline(always)]
    pub fn fade_in_blocks(&mut self, keys: &KeyRows<E>, length: usize) {
        if keys.fading != Fading::None {
            fade_in_blocks(
                length,
                keys.width,
                keys.fading,
                &self.rows,
                &keys.factors.through,
                &mut self.faded,
            );
        }
    }

    /// Fades the rows on from the start of the chunk.
    #[inline(always)]
    pub fn fade_from_the_start(&mut self, keys: &KeyRows<E>, length: usize) {
        if keys.fading == Fading::PerChannel {
            fade_from_the_start(length, keys.width, &keys.factors, &mut self.faded);
        }
    }

    /// The rows as they read the memory before the chunk.
    #[inline(always)]
    pub fn reads(&self, keys: &KeyRows<E>) -> &[E] {
        if keys.fading == Fading::None { &self.rows } else { &self.faded }
    }

    /// Computes [`products`](Self::products). Requires [`KeyRows::transpose`] and, where every channel has its own
    /// decay, [`fade_in_blocks`](Self::fade_in_blocks).
    #[inline(always)]
    pub fn multiply<S: Simd>(
        &mut self,
        simd: S,
        prefetch: &Prefetch,
        keys: &KeyRows<E>,
        channels: usize,
        length: usize,
    ) {
        let width = keys.width;
        match keys.fading {
            Fading::None | Fading::Shared => {
                for (start, tokens) in blocks(length) {
                    product(
                        simd,
                        prefetch,
                        Extent { rows: tokens, depth: channels, columns: start + BLOCK },
                        Strided::rows(&self.rows[start * width..], width),
                        MatRef::new(&keys.columns, CHUNK),
                        MatMut::new(&mut self.products[start * CHUNK..], CHUNK),
                        Onto::Nothing,
                    );
                }
                if keys.fading == Fading::Shared {
                    for i in 0..length {
                        let row = i * CHUNK..i * CHUNK + i + 1;
                        factors::multiply(&mut self.products[row.clone()], &keys.factors.between[row]);
                    }
                }
            }
            Fading::PerChannel => {
                for (start, tokens) in blocks(length) {
                    let rows = start * width..(start + tokens) * width;
                    within_block::products(
                        simd,
                        tokens,
                        width,
                        [&self.rows[rows.clone()], &keys.rows[rows.clone()], &keys.factors.each[rows]],
                        &mut self.products[start * CHUNK + start..],
                    );
                }
                if length > BLOCK {
                    product(
                        simd,
                        prefetch,
                        Extent { rows: length - BLOCK, depth: channels, columns: BLOCK },
                        Strided::rows(&self.faded[BLOCK * width..], width),
                        MatRef::new(&keys.columns, CHUNK),
                        MatMut::new(&mut self.products[BLOCK * CHUNK..], CHUNK),
                        Onto::Nothing,
                    );
                }
            }
        }
        clear_later(length, &mut self.products);
    }
}
