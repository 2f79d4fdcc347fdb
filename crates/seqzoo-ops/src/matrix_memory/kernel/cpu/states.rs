//! Memories, whole or by ranges of their columns, between tensors and the buffers of a task.

use super::extents::{Extents, Widths};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::transpose::{transpose, transpose_into};
use pulp::Simd;
use std::ops::Range;

/// The part of `columns` that is not padding.
fn filled(extents: &Extents, columns: &Range<usize>) -> Range<usize> {
    columns.start.min(extents.value)..columns.end.min(extents.value)
}

/// Loads `columns` of the memory of head number `head` out of `[b, h, k, v]` or `[n, h, k, v]` into rows of their width.
pub(crate) fn load<E: Real>(
    from: &[E],
    extents: &Extents,
    head: usize,
    columns: &Range<usize>,
    memory: &mut [E],
) {
    let (start, filled) = (head * extents.memory(), filled(extents, columns));
    for (k, row) in memory.chunks_exact_mut(columns.len()).enumerate() {
        row[..filled.len()].copy_from_slice(&from[start + k * extents.value..][filled.clone()]);
    }
}

/// Stores `columns` of the memory of head number `head`, in rows of their width, into `[b, h, k, v]`.
///
/// # Safety
///
/// No other task may store these columns of this head.
pub(crate) unsafe fn store<E: Real>(
    to: Output<'_, E>,
    extents: &Extents,
    head: usize,
    columns: &Range<usize>,
    memory: &[E],
) {
    let (start, filled) = (head * extents.memory(), filled(extents, columns));
    for (k, row) in memory.chunks_exact(columns.len()).enumerate() {
        // SAFETY: as the caller promises.
        unsafe { to.write(start + k * extents.value + filled.start, &row[..filled.len()]) };
    }
}

/// Elements of a slot, in which a memory is saved transposed: a row of padded key channels for every value channel,
/// since the backward pass reads it by key channels.
pub(crate) fn slot_size(extents: &Extents, widths: Widths) -> usize {
    extents.value * widths.key
}

/// Saves `columns` of a memory, in rows of their width, in a slot.
///
/// # Safety
///
/// No other task may save these columns in this slot.
#[inline(always)]
pub(crate) unsafe fn save<S: Simd, E: Real>(
    simd: S,
    to: Output<'_, E>,
    extents: &Extents,
    slot: usize,
    columns: &Range<usize>,
    memory: &[E],
) {
    let width = Widths::of::<S, E>(extents).key;
    let filled = filled(extents, columns);
    let start = (slot * extents.value + filled.start) * width;
    let place = to.place(start, filled.len() * width);
    // SAFETY: the place has rows for all columns, which are this task's, as the caller promises.
    unsafe {
        let shape = (extents.key, filled.len());
        transpose_into(simd, shape, MatRef::new(memory, columns.len()), place, width);
        for padding in (0..filled.len()).map(|row| place.add(row * width + extents.key)) {
            padding.write_bytes(0, width - extents.key);
        }
    }
}

/// Transposes a memory from a slot's layout into rows of padded value channels.
#[inline(always)]
pub(crate) fn from_slot<S: Simd, E: Real>(simd: S, extents: &Extents, slot: &[E], memory: &mut [E]) {
    let widths = Widths::of::<S, E>(extents);
    let (from, to) = (MatRef::new(slot, widths.key), MatMut::new(memory, widths.value));
    transpose(simd, (extents.value, extents.key), from, to);
}

/// Transposes a memory from rows of padded value channels into a slot's layout.
#[inline(always)]
pub(crate) fn to_slot<S: Simd, E: Real>(simd: S, extents: &Extents, memory: &[E], slot: &mut [E]) {
    let widths = Widths::of::<S, E>(extents);
    let (from, to) = (MatRef::new(memory, widths.value), MatMut::new(slot, widths.key));
    transpose(simd, (extents.key, extents.value), from, to);
}
