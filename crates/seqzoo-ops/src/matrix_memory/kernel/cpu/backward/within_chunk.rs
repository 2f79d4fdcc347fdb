//! The gradients of rows and keys inside the chunk.

use super::super::chunks::{BLOCK, CHUNK};
use super::super::factors::multiply;
use super::super::fade::blocks;
use super::super::within_block;
use super::Backward;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;

impl<E: Real, const N: usize> Backward<E, N> {
    /// `dQ += dA K` and `dK += dAᵀ Q`.
    #[inline(always)]
    pub(super) fn d_tokens_inside<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.keys.width;
        for reader in &mut self.readers {
            let all = Extent { rows: length, depth: length, columns: width };
            product(
                simd,
                &self.prefetch,
                all,
                Strided::rows(&reader.products, CHUNK).lower(),
                MatRef::new(&self.keys.rows, width),
                MatMut::new(&mut reader.gradient, width),
                Onto::Target,
            );
            product(
                simd,
                &self.prefetch,
                all,
                Strided::transposed(&reader.products, CHUNK).upper(),
                MatRef::new(&reader.rows, width),
                MatMut::new(&mut self.key_gradient, width),
                Onto::Target,
            );
        }
    }

    /// The gradients of rows and keys from the other block, and the decays inside their own.
    #[inline(always)]
    pub(super) fn d_tokens_between_blocks<S: Simd>(&mut self, simd: S, length: usize) {
        let (width, keys) = (self.keys.width, &self.keys);
        let all = ..length * width;
        for reader in &mut self.readers {
            if length > BLOCK {
                let corner = &reader.products[BLOCK * CHUNK..];
                product(
                    simd,
                    &self.prefetch,
                    Extent { rows: length - BLOCK, depth: BLOCK, columns: width },
                    Strided::rows(corner, CHUNK),
                    MatRef::new(&keys.writes, width),
                    MatMut::new(&mut reader.gradient[BLOCK * width..], width),
                    Onto::Target,
                );
                product(
                    simd,
                    &self.prefetch,
                    Extent { rows: BLOCK, depth: length - BLOCK, columns: width },
                    Strided::transposed(corner, CHUNK),
                    MatRef::new(&reader.faded[BLOCK * width..], width),
                    MatMut::new(&mut self.key_gradient, width),
                    Onto::Target,
                );
            }
            multiply(&mut reader.gradient[all], &keys.factors.through);
        }
        multiply(&mut self.key_gradient[all], &keys.factors.after);
    }

    /// The gradients of rows and keys from other tokens of their block.
    #[inline(always)]
    pub(super) fn d_tokens_in_blocks<S: Simd>(&mut self, simd: S, length: usize) {
        let (width, keys) = (self.keys.width, &self.keys);
        for reader in &mut self.readers {
            for (start, tokens) in blocks(length) {
                let rows = start * width..(start + tokens) * width;
                within_block::gradients(
                    simd,
                    tokens,
                    width,
                    [&reader.rows[rows.clone()], &keys.rows[rows.clone()], &keys.factors.each[rows.clone()]],
                    &reader.products[start * CHUNK + start..],
                    [&mut reader.in_block[rows.clone()], &mut reader.key_in_block[rows]],
                );
            }
        }
    }

    /// Adds to rows and keys what they get from their block and from their own token.
    #[inline(always)]
    pub(super) fn add_own(&mut self, length: usize) {
        let width = self.keys.width;
        for reader in &mut self.readers {
            for i in 0..length {
                let row = i * width..(i + 1) * width;
                let own = reader.products[i * CHUNK + i];
                let (rows, keys) = (&reader.rows[row.clone()], &self.keys.rows[row.clone()]);
                let (inside, key_inside) = (&reader.in_block[row.clone()], &reader.key_in_block[row.clone()]);
                let d_rows = &mut reader.gradient[row.clone()];
                let d_keys = &mut self.key_gradient[row];
                for c in 0..width {
                    d_rows[c] += inside[c] + own * keys[c];
                    d_keys[c] += key_inside[c] + own * rows[c];
                }
            }
        }
    }
}
