//! Numbers that are not finite, which must not count where they are hidden.

use burn::tensor::{Bool, Tensor};

/// Entries with zeros for what is not finite, and where there is any: `[b, s, hk, 1]`.
pub(super) fn tamed(entries: Tensor<4>) -> (Tensor<4>, Tensor<4, Bool>) {
    let wild = entries.clone().is_finite().bool_not();
    (entries.mask_fill(wild.clone(), 0.0), wild.any_dim(3))
}

/// `output`, `[b, h, t, v]`, with NaN where a token sees what is not finite: `seen` is `[b, 1, t, s]`, and `wild`
/// `[b, hk, s, 1]`.
pub(super) fn poisoned(output: Tensor<4>, seen: Tensor<4, Bool>, wild: Tensor<4, Bool>) -> Tensor<4> {
    let [batch, heads, time, _] = output.dims();
    let key_heads = wild.dims()[1];
    let sees = seen.float().matmul(wild.float()).greater_scalar(0.0); // [b, hk, t, 1]
    let sees = sees.unsqueeze_dim::<5>(2).expand([batch, key_heads, heads / key_heads, time, 1]);
    output.clone().mask_fill(sees.reshape([batch, heads, time, 1]).expand(output.dims()), f64::NAN)
}
