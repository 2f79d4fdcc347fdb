//! The gradient of the log decays; the derivation is in the kernel's `README.md` of linear attention.

use super::super::chunks::{BLOCK, CHUNK};
use super::super::factors::multiply;
use super::super::fade::blocks;
use super::{Backward, Given};
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;

impl<E: Real, const N: usize> Backward<E, N> {
    /// The gradient of a log decay that all channels share. Output and
    /// keys have so far only what they get through the memory, and `dA` is without its decays.
    #[inline(always)]
    pub(super) fn d_decay_shared<S: Simd>(
        &mut self,
        simd: S,
        length: usize,
        products: [&[E]; N],
        given: Given<'_, E>,
    ) {
        let (width, keys) = (self.keys.width, &self.keys);
        let row = |i: usize| i * width..(i + 1) * width;
        // Terms that pass over the whole chunk, then those that come in and are read at the token or after it.
        let mut sum = match given.before {
            Some(before) => keys.factors.total[0] * dot(simd, before, given.memory_gradient),
            None => E::default(),
        };
        for i in (0..length).rev() {
            for reader in &self.readers {
                sum += dot(simd, &reader.rows[row(i)], &reader.gradient[row(i)]);
            }
            self.decay_gradient[i] = sum;
        }
        // Writes before the token that go out of the chunk.
        let mut sum = E::default();
        for i in 0..length {
            self.decay_gradient[i] += sum;
            sum += dot(simd, &keys.rows[row(i)], &self.key_gradient[row(i)]);
        }
        // Writes before the token that are read at it or after it.
        let (mut columns, ones) = ([E::default(); CHUNK], [E::ONE; CHUNK]);
        for i in (1..length).rev() {
            for (reader, products) in self.readers.iter().zip(products) {
                let (gradients, products) = (&reader.products[i * CHUNK..], &products[i * CHUNK..]);
                for ((column, gradient), product) in columns.iter_mut().zip(gradients).zip(products) {
                    *column += *gradient * *product;
                }
            }
            columns[i] = E::default(); // the token's own; what stands for later ones is 0 in both
            self.decay_gradient[i] += dot(simd, &columns, &ones);
        }
    }

    /// Where every channel has its own decay: the gradient that the decays of a block get from what passes over it.
    ///
    /// Output and keys have so far only what they get through the memory, faded to the edge of their block.
    #[inline(always)]
    pub(super) fn d_decay_through_memory(&mut self, length: usize, given: Given<'_, E>) {
        let (width, two, keys) = (self.keys.width, length > BLOCK, &self.keys);
        let (first, second) = self.decay_over.split_at_mut(width);
        first.fill(E::default());
        if let Some(before) = given.before {
            let gradients = given.memory_gradient.chunks_exact(width);
            for (row, gradient) in before.chunks_exact(width).zip(gradients) {
                for c in 0..width {
                    first[c] += row[c] * gradient[c];
                }
            }
        }
        multiply(first, &keys.factors.total);
        second.copy_from_slice(first);
        if two {
            // Over the first block: what the second reads of the memory.
            for reader in &self.readers {
                for row in (BLOCK..length).map(|i| i * width..(i + 1) * width) {
                    let through = &keys.factors.through[row.clone()];
                    let (rows, gradient) = (&reader.rows[row.clone()], &reader.gradient[row]);
                    for c in 0..width {
                        first[c] += rows[c] * (through[c] * gradient[c]);
                    }
                }
            }
            // Over the second block: what the first leaves in the memory.
            for row in (0..BLOCK).map(|i| i * width..(i + 1) * width) {
                let after = &keys.factors.after[row.clone()];
                let (key, gradient) = (&keys.rows[row.clone()], &self.key_gradient[row]);
                for c in 0..width {
                    second[c] += key[c] * (after[c] * gradient[c]);
                }
            }
        }
    }

    /// The gradient of log decays of their own per channel, one vector of channels after the other.
    #[inline(always)]
    pub(super) fn d_decay_channels<S: Simd>(&mut self, simd: S, length: usize) {
        let vectors = self.keys.width / lanes::<S, E>();
        let key = E::vectors::<S>(&self.keys.rows);
        let of_key = E::vectors::<S>(&self.key_gradient);
        let over = E::vectors::<S>(&self.decay_over);
        let gradient = E::vectors_mut::<S>(&mut self.decay_gradient);
        // Output, what they get from outside the block, and what rows and keys get inside it.
        let readers: [_; N] = std::array::from_fn(|index| {
            let reader = &self.readers[index];
            [&reader.rows, &reader.gradient, &reader.in_block, &reader.key_in_block]
                .map(|buffer| E::vectors::<S>(buffer))
        });
        let zero = E::splat(simd, E::default());
        for (start, tokens) in blocks(length) {
            for column in 0..vectors {
                let at = |i: usize| i * vectors + column;
                // Terms that come into the block, or are written in it, and are read at the token or after it.
                let mut from_outside = over[at(start / BLOCK)];
                let mut inside = zero;
                for i in (start..start + tokens).rev() {
                    let at = at(i);
                    for [rows, of_rows, in_block, key_in_block] in readers {
                        from_outside = E::mul_add(simd, rows[at], of_rows[at], from_outside);
                        inside = E::mul_add(simd, rows[at], in_block[at], inside);
                        inside = E::minus(simd, inside, E::times(simd, key[at], key_in_block[at]));
                    }
                    let crosses = i != start;
                    gradient[at] = if crosses { E::plus(simd, from_outside, inside) } else { from_outside };
                }
                // Writes before the token that go out of the block.
                let mut written = zero;
                for at in (start..start + tokens).map(at) {
                    gradient[at] = E::plus(simd, gradient[at], written);
                    written = E::mul_add(simd, key[at], of_key[at], written);
                }
            }
        }
    }
}
