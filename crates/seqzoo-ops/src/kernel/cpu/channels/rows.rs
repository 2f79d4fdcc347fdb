//! Vectors of neighbouring channels: from rows of channels, and from states `[e, n]` whose channels lie apart.

use super::blocks::Block;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::transpose::{transpose, transpose_into};
use pulp::Simd;

/// The channels of `block` in the row of `numbers` that begins at `row`.
#[inline(always)]
pub(crate) fn load<S: Simd, E: Real>(simd: S, numbers: &[E], row: usize, block: Block) -> E::Vector<S> {
    let start = row + block.first;
    if block.channels == lanes::<S, E>() {
        E::vectors::<S>(&numbers[start..start + lanes::<S, E>()])[0]
    } else {
        E::load(simd, &numbers[start..start + block.channels])
    }
}

/// Writes the channels of `block` into the row of `output` that begins at `row`.
///
/// # Safety
///
/// No other thread may write or read these elements meanwhile.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, E: Real>(
    output: &Output<'_, E>,
    row: usize,
    block: Block,
    vector: E::Vector<S>,
) {
    let vector = [vector];
    let numbers = lanes_of::<S, E>(&vector);
    let start = row + block.first;
    // SAFETY: as the caller promises.
    unsafe {
        if block.channels == lanes::<S, E>() {
            output.write(start, &numbers[..lanes::<S, E>()]);
        } else {
            output.write(start, &numbers[..block.channels]);
        }
    }
}

/// The elements of vectors.
#[inline(always)]
pub(crate) fn lanes_of<S: Simd, E: Real>(vectors: &[E::Vector<S>]) -> &[E] {
    // SAFETY: a vector is `lanes` elements in a row, without padding.
    unsafe { std::slice::from_raw_parts(vectors.as_ptr().cast(), vectors.len() * lanes::<S, E>()) }
}

/// The states of `block`, `[channels, size]` from `start` on, as one vector per number of the state. Lanes without a
/// channel are 0.
#[inline(always)]
pub(crate) fn pack<S: Simd, E: Real>(
    simd: S,
    numbers: &[E],
    start: usize,
    block: Block,
    size: usize,
    to: &mut [E],
) {
    let from =
        MatRef { numbers: &numbers[start + block.first * size..][..block.channels * size], stride: size };
    if block.channels < lanes::<S, E>() {
        to.fill(E::default());
    }
    transpose(simd, (block.channels, size), from, MatMut { numbers: to, stride: lanes::<S, E>() });
}

/// The reverse of [`pack`].
///
/// # Safety
///
/// No other thread may write or read these elements of `output` meanwhile.
#[inline(always)]
pub(crate) unsafe fn unpack<S: Simd, E: Real>(
    simd: S,
    packed: &[E],
    output: &Output<'_, E>,
    start: usize,
    block: Block,
    size: usize,
) {
    let place = output.place(start + block.first * size, block.channels * size);
    let from = MatRef { numbers: packed, stride: lanes::<S, E>() };
    // SAFETY: `place` has room for a state per channel, and is nobody else's as the caller promises.
    unsafe { transpose_into(simd, (size, block.channels), from, place, size) };
}
