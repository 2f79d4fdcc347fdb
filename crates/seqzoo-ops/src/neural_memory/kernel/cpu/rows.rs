//! Rows of tokens, each times a number of its own.

use super::layout::Matrix;
use crate::kernel::cpu::lanes::Real;

/// `to = factor · from`, as far as both go.
#[inline(always)]
pub(super) fn scaled<E: Real>(to: &mut [E], from: &[E], factor: E) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = factor * *from;
    }
}

/// `u = -θ δ`, of the tokens that `step` has.
#[inline(always)]
pub(super) fn write_error<E: Real>(matrix: &Matrix, written: &mut [E], error: &[E], step: &[E]) {
    let rows = written.chunks_exact_mut(matrix.to_width).zip(error.chunks_exact(matrix.to_width));
    for ((written, error), step) in rows.zip(step) {
        scaled(written, error, E::default() - *step);
    }
}
