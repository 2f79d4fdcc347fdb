//! The factor of every token.

use cubecl::prelude::*;

/// `exp(decay)`, and 0 where the memory is cleared: `[b, t, h, 1]` or `[b, t, h, k]`. One unit per
/// number.
///
/// A reset is a token whose factor is 0, in every channel; no other program knows of resets.
#[cube(launch)]
pub(super) fn factors<F: Float>(
    decay: &Tensor<F>,
    resets: &Tensor<F>,
    factors: &mut Tensor<F>,
    #[comptime] decays: bool,
    #[comptime] has_resets: bool,
    #[define(F)] _dtype: ElemType,
) {
    let index = ABSOLUTE_POS;
    if index >= factors.len() {
        terminate!();
    }
    let channel = index % factors.shape(3);
    let head = (index / factors.shape(3)) % factors.shape(2);
    let token = index / (factors.shape(3) * factors.shape(2)); // of all sequences

    let mut factor = F::new(1.0_f32);
    if comptime!(decays) {
        // The remainder is 0 where the decay has size 1.
        let batch = (token / factors.shape(1)) % decay.shape(0);
        let time = (token % factors.shape(1)) % decay.shape(1);
        let own_head = head / (factors.shape(2) / decay.shape(2));
        let row = (batch * decay.shape(1) + time) * decay.shape(2) + own_head;
        factor = decay[row * decay.shape(3) + channel].exp();
    }
    if comptime!(has_resets) {
        if resets[token] != F::new(0.0_f32) {
            factor = F::new(0.0_f32);
        }
    }
    factors[index] = factor;
}
