//! Resets on the way along a chunk.

use cubecl::prelude::*;

/// Whether the state is cleared before `token`, of those of all sequences; never without `has_resets`.
#[cube]
pub(crate) fn cleared<F: Float>(resets: &Tensor<F>, token: usize, #[comptime] has_resets: bool) -> bool {
    let mut cleared = false.runtime();
    if comptime!(has_resets) {
        cleared = resets[token] != F::new(0.0_f32);
    }
    cleared
}
