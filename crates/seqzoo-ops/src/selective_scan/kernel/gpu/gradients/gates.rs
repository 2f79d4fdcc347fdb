//! The gradients of the gates.

use super::super::functions::sigmoid;
use cubecl::prelude::*;

/// `do (y + D u) silu'(z)`, with `silu' = σ (1 + z (1 − σ))`. One unit per number.
#[cube(launch)]
pub(in super::super) fn gates<F: Float>(
    tokens: &Tensor<F>,
    input: &Tensor<F>,
    d: &Tensor<F>,
    z: &Tensor<F>,
    upstream: &Tensor<F>,
    out: &mut Tensor<F>,
    #[comptime] skips: bool,
    #[define(F)] _dtype: ElemType,
) {
    let here = ABSOLUTE_POS;
    let channels = z.shape(2);
    if here >= z.shape(0) * z.shape(1) * channels {
        terminate!();
    }
    let mut gated = tokens[here];
    if comptime!(skips) {
        gated += d[here % channels] * input[here];
    }
    let gate = sigmoid::<F>(z[here]);
    let one = F::new(1.0_f32);
    out[here] = upstream[here] * gated * gate * (one + z[here] * (one - gate));
}
