//! What queries and keys get from each other inside the chunk.

use super::Backward;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::linear_attention::kernel::cpu::chunks::{BLOCK, CHUNK};
use crate::linear_attention::kernel::cpu::diagonal;
use crate::linear_attention::kernel::cpu::gates::multiply;
use crate::linear_attention::kernel::cpu::tokens::blocks;
use pulp::Simd;

impl<E: Real> Backward<E> {
    /// `dQ += dA K` and `dK += dAᵀ Q`.
    #[inline(always)]
    pub(super) fn of_tokens_inside<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.key_width;
        for (start, tokens) in blocks(length) {
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: start + tokens, columns: width },
                Strided::rows(&self.products[start * CHUNK..], CHUNK),
                (&self.key, width),
                (&mut self.query_gradient[start * width..], width),
                Onto::Target,
            );
            product(
                simd,
                &self.ahead,
                Extent { rows: tokens, depth: length - start, columns: width },
                Strided::transposed(&self.products[start * CHUNK + start..], CHUNK),
                (&self.query[start * width..], width),
                (&mut self.key_gradient[start * width..], width),
                Onto::Target,
            );
        }
    }

    /// What queries and keys get from the other block, and the decays inside their own.
    #[inline(always)]
    pub(super) fn of_tokens_between_blocks<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.key_width;
        if length > BLOCK {
            let corner = &self.products[BLOCK * CHUNK..];
            product(
                simd,
                &self.ahead,
                Extent { rows: length - BLOCK, depth: BLOCK, columns: width },
                Strided::rows(corner, CHUNK),
                (&self.writes, width),
                (&mut self.query_gradient[BLOCK * width..], width),
                Onto::Target,
            );
            product(
                simd,
                &self.ahead,
                Extent { rows: BLOCK, depth: length - BLOCK, columns: width },
                Strided::transposed(corner, CHUNK),
                (&self.reads[BLOCK * width..], width),
                (&mut self.key_gradient, width),
                Onto::Target,
            );
        }
        let all = ..length * width;
        multiply(&mut self.query_gradient[all], &self.gates.through);
        multiply(&mut self.key_gradient[all], &self.gates.after);
    }

    /// What queries and keys get from other tokens of their block.
    #[inline(always)]
    pub(super) fn of_tokens_in_blocks<S: Simd>(&mut self, simd: S, length: usize) {
        let width = self.key_width;
        for (start, tokens) in blocks(length) {
            let rows = start * width..(start + tokens) * width;
            diagonal::gradients(
                simd,
                tokens,
                width,
                [&self.query[rows.clone()], &self.key[rows.clone()], &self.gates.each[rows.clone()]],
                &self.products[start * CHUNK + start..],
                [&mut self.query_in_block[rows.clone()], &mut self.key_in_block[rows]],
            );
        }
    }

    /// Adds to queries and keys what they get from their block and from their own token.
    #[inline(always)]
    pub(super) fn add_own(&mut self, length: usize) {
        let width = self.key_width;
        for i in 0..length {
            let row = i * width..(i + 1) * width;
            let own = self.products[i * CHUNK + i];
            let (query, key) = (&self.query[row.clone()], &self.key[row.clone()]);
            let (query_inside, key_inside) =
                (&self.query_in_block[row.clone()], &self.key_in_block[row.clone()]);
            let of_query = &mut self.query_gradient[row.clone()];
            let of_key = &mut self.key_gradient[row];
            for c in 0..width {
                of_query[c] += query_inside[c] + own * key[c];
                of_key[c] += key_inside[c] + own * query[c];
            }
        }
    }
}
