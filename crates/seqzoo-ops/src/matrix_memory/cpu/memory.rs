//! Memories, whole or by strips of their columns, between tensors and the buffers of a task.

use super::sequence::Extents;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::transpose::transpose_into;
use pulp::Simd;
use std::ops::Range;

/// The part of `columns` that is not padding.
fn filled(extents: &Extents, columns: &Range<usize>) -> Range<usize> {
    columns.start.min(extents.value)..columns.end.min(extents.value)
}

/// Loads `columns` of a head's memory out of `[b, h, k, v]` into rows of their width.
pub(crate) fn load<E: Real>(
    from: &[E],
    extents: &Extents,
    at: (usize, usize),
    columns: &Range<usize>,
    memory: &mut [E],
) {
    let (start, filled) = (extents.head(at) * extents.memory(), filled(extents, columns));
    for (k, row) in memory.chunks_exact_mut(columns.len()).enumerate() {
        row[..filled.len()].copy_from_slice(&from[start + k * extents.value..][filled.clone()]);
    }
}

/// Stores `columns` of a head's memory, in rows of their width, into `[b, h, k, v]`.
///
/// # Safety
///
/// No other task may store these columns of this head.
pub(crate) unsafe fn store<E: Real>(
    to: Output<'_, E>,
    extents: &Extents,
    at: (usize, usize),
    columns: &Range<usize>,
    memory: &[E],
) {
    let (start, filled) = (extents.head(at) * extents.memory(), filled(extents, columns));
    for (k, row) in memory.chunks_exact(columns.len()).enumerate() {
        // SAFETY: as the caller promises.
        unsafe { to.write(start + k * extents.value + filled.start, &row[..filled.len()]) };
    }
}

/// Keeps `columns` of a memory in a slot, turned: a row of `key_width` padded key channels for every value channel.
///
/// # Safety
///
/// No other task may keep these columns in this slot.
#[inline(always)]
pub(crate) unsafe fn keep<S: Simd, E: Real>(
    simd: S,
    to: Output<'_, E>,
    extents: &Extents,
    (slot, key_width): (usize, usize),
    columns: &Range<usize>,
    memory: &[E],
) {
    let filled = filled(extents, columns);
    let start = (slot * extents.value + filled.start) * key_width;
    let place = to.place(start, filled.len() * key_width);
    // SAFETY: the place has rows for all columns, which are this task's, as the caller promises.
    unsafe {
        transpose_into(simd, (extents.key, filled.len()), (memory, columns.len()), (place, key_width));
        for padding in (0..filled.len()).map(|row| place.add(row * key_width + extents.key)) {
            padding.write_bytes(0, key_width - extents.key);
        }
    }
}
