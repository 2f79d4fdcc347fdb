//! Rows of tokens as the memory meets them: multiplied by the decays on their way.

use super::chunks::{BLOCK, CHUNK};
use super::factors::{Factors, multiply};
use super::sequence::Fading;
use crate::kernel::cpu::lanes::Real;

/// Multiplies every number by `factor`.
#[inline(always)]
pub(crate) fn scale<E: Real>(numbers: &mut [E], factor: E) {
    for number in numbers {
        *number *= factor;
    }
}

/// Multiplies every row by its factor.
#[inline(always)]
pub(crate) fn scale_rows<E: Real>(rows: &mut [E], width: usize, factors: &[E]) {
    for (row, factor) in rows.chunks_exact_mut(width).zip(factors) {
        scale(row, *factor);
    }
}

/// `to = tokens` faded along the way within each block (`factors` are [`Factors::through`] or
/// [`Factors::after`]).
#[inline(always)]
pub(crate) fn fade_in_blocks<E: Real>(
    length: usize,
    width: usize,
    fading: Fading,
    tokens: &[E],
    factors: &[E],
    to: &mut [E],
) {
    let to = &mut to[..length * width];
    to.copy_from_slice(&tokens[..length * width]);
    match fading {
        Fading::None => {}
        Fading::Shared => scale_rows(to, width, factors),
        Fading::PerChannel => multiply(to, factors),
    }
}

/// Fades keys that are faded to the end of their block on to the end of the chunk.
#[inline(always)]
pub(crate) fn fade_to_the_end<E: Real>(length: usize, width: usize, factors: &Factors<E>, keys: &mut [E]) {
    if length > BLOCK {
        for row in keys.chunks_exact_mut(width).take(BLOCK) {
            multiply(row, factors.block(1));
        }
    }
}

/// Fades queries that are faded from the start of their block on from the start of the chunk.
#[inline(always)]
pub(crate) fn fade_from_the_start<E: Real>(
    length: usize,
    width: usize,
    factors: &Factors<E>,
    queries: &mut [E],
) {
    for row in queries.chunks_exact_mut(width).take(length).skip(BLOCK) {
        multiply(row, factors.block(0));
    }
}

/// Clears, in rows of [`CHUNK`], the entries of later tokens, even a NaN.
#[inline(always)]
pub(crate) fn clear_later<E: Real>(length: usize, matrix: &mut [E]) {
    for (i, row) in matrix.chunks_exact_mut(CHUNK).take(length).enumerate() {
        row[i + 1..].fill(E::default());
    }
}

/// The blocks of a chunk: the first token and the number of tokens of each.
#[inline(always)]
pub(crate) fn blocks(length: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..length).step_by(BLOCK).map(move |start| (start, BLOCK.min(length - start)))
}
