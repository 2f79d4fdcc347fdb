//! What a token brings.

use super::kind::Kind;
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
