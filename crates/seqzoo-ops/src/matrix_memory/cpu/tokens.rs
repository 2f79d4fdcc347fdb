//! Token rows in scratch memory, and the keys and queries as the memory meets them.

use super::chunks::{BLOCK, CHUNK, Chunk};
use super::factors::{Factors, multiply};
use super::sequence::{Extents, Fading};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use std::ops::Range;

/// Copies the tokens of a chunk out of `[b, t, h, channels]` into rows of `width`; what lies behind the
/// channels stays zero.
#[inline(always)]
pub(crate) fn load<E: Real>(
    from: &[E],
    extents: &Extents,
    (batch, head): (usize, usize),
    chunk: Chunk,
    channels: usize,
    (rows, width): (&mut [E], usize),
) {
    for (i, row) in rows.chunks_exact_mut(width).take(chunk.length).enumerate() {
        let start = extents.token(batch, chunk.start + i, head, channels);
        row[..channels].copy_from_slice(&from[start..][..channels]);
    }
}

/// Copies the tokens of a chunk out of rows of `width` into `[b, t, h, channels]`.
///
/// # Safety
///
/// No other task may store these tokens of this head.
pub(crate) unsafe fn store<E: Real>(
    to: Output<'_, E>,
    extents: &Extents,
    at: (usize, usize),
    chunk: Chunk,
    channels: usize,
    rows: (&[E], usize),
) {
    // SAFETY: as the caller promises.
    unsafe { store_columns(to, extents, at, chunk, channels, rows, 0..channels) };
}

/// The same for `columns` alone, as far as they are not padding.
///
/// # Safety
///
/// No other task may store these columns of these tokens of this head.
pub(crate) unsafe fn store_columns<E: Real>(
    to: Output<'_, E>,
    extents: &Extents,
    (batch, head): (usize, usize),
    chunk: Chunk,
    channels: usize,
    (rows, width): (&[E], usize),
    columns: Range<usize>,
) {
    let columns = columns.start.min(channels)..columns.end.min(channels);
    for (i, row) in rows.chunks_exact(width).take(chunk.length).enumerate() {
        let start = extents.token(batch, chunk.start + i, head, channels) + columns.start;
        // SAFETY: as the caller promises.
        unsafe { to.write(start, &row[columns.clone()]) };
    }
}

/// Lists the tokens of a chunk in `[b, t, h, channels]`, which begins at `from`, to be asked for.
#[inline(always)]
pub(crate) fn list<E: Real>(
    prefetch: &mut Prefetch,
    from: *const E,
    extents: &Extents,
    (batch, head): (usize, usize),
    chunk: Chunk,
    channels: usize,
) {
    let start = extents.token(batch, chunk.start, head, channels);
    prefetch.rows(from.wrapping_add(start), chunk.length, extents.heads * channels, channels);
}

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
        Fading::Alike => scale_rows(to, width, factors),
        Fading::Channels => multiply(to, factors),
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

/// Clears, in rows of [`CHUNK`], what stands for a later token: also a value that is no number.
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
