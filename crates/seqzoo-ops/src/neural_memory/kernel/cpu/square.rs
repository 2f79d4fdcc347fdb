//! Products between the tokens of a block, of which only those with earlier tokens and with themselves count.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::matrix_memory::kernel::cpu::factors::multiply as multiply_row;
use pulp::Simd;

/// Rows that are computed together, a whole number of vectors.
pub(crate) const STRIP: usize = 16;

/// The side of squares for blocks of up to `length` tokens.
pub(super) fn side(length: usize) -> usize {
    length.next_multiple_of(STRIP)
}

/// `square = rows · columns` of `depth` channels, with zeros where the column is later. The square and the `columns` have
/// rows of `side`.
#[inline(always)]
pub(super) fn lower<S: Simd, E: Real>(
    simd: S,
    prefetch: &Prefetch,
    (length, depth): (usize, usize),
    rows: MatRef<'_, E>,
    columns: &[E],
    square: MatMut<'_, E>,
) {
    let side = square.stride;
    for start in (0..length).step_by(STRIP) {
        product(
            simd,
            prefetch,
            Extent { rows: STRIP.min(length - start), depth, columns: start + STRIP },
            Strided::rows(&rows.numbers[start * rows.stride..], rows.stride),
            MatRef::new(columns, side),
            MatMut::new(&mut square.numbers[start * side..], side),
            Onto::Nothing,
        );
    }
    for (i, row) in square.numbers.chunks_exact_mut(side).take(length).enumerate() {
        row[i + 1..].fill(E::default());
    }
}

/// Multiplies the lower triangle of a square by that of another.
#[inline(always)]
pub(super) fn multiply<E: Real>(length: usize, side: usize, square: &mut [E], factors: &[E]) {
    let rows = square.chunks_exact_mut(side).zip(factors.chunks_exact(side));
    for (i, (row, factors)) in rows.take(length).enumerate() {
        multiply_row(&mut row[..=i], factors);
    }
}
