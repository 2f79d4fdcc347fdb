//! What programs are built for.

use cubecl::prelude::*;

/// Tokens of a chunk. The states before the chunks take `N / 32` times the room of the inputs, and what a unit of the
/// backward pass keeps of a chunk is 32 numbers of each kind.
pub(super) const CHUNK: usize = 32;

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// `a` holds `ln(-A)`.
    pub a_log: bool,
    pub resets: bool,
}

/// The rate `A` at `index`.
#[cube]
pub(super) fn rate<F: Float>(a: &Tensor<F>, index: usize, #[comptime] kind: Kind) -> F {
    let mut rate = a[index];
    if comptime!(kind.a_log) {
        rate = -rate.exp();
    }
    rate
}
