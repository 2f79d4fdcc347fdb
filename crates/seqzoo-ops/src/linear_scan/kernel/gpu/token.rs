//! What a token brings.

use super::place::Kind;
use crate::scan::kernel::gpu::numbers::imaginary;
use cubecl::prelude::*;

/// Where the factor of the number at `here` is.
#[cube]
pub(super) fn factor_at(here: usize, channel: usize, #[comptime] kind: Kind) -> usize {
    let mut at = here;
    if comptime!(kind.shared) {
        at = channel;
    }
    at
}

/// The imaginary part of a factor: backwards, of its conjugate.
#[cube]
pub(super) fn factor_imaginary<F: Float>(part: &Tensor<F>, index: usize, #[comptime] kind: Kind) -> F {
    let mut number = imaginary::<F>(part, index, kind.complex);
    if comptime!(kind.reverse) {
        number = -number;
    }
    number
}

/// Whether the state is cleared before `token`.
#[cube]
pub(super) fn cleared<F: Float>(resets: &Tensor<F>, token: usize, #[comptime] kind: Kind) -> bool {
    let mut cleared = false.runtime();
    if comptime!(kind.resets) {
        cleared = resets[token] != F::new(0.0_f32);
    }
    cleared
}
