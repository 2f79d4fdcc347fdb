//! Skip and gate.

use super::functions::silu;
use cubecl::prelude::*;

/// `(y + D u) silu(z)` in place of `y`, each part if it is asked for. One unit per number.
#[cube(launch)]
pub(super) fn finish<F: Float>(
    output: &mut Tensor<F>,
    input: &Tensor<F>,
    d: &Tensor<F>,
    z: &Tensor<F>,
    #[comptime] skips: bool,
    #[comptime] gated: bool,
    #[define(F)] _dtype: ElemType,
) {
    let here = ABSOLUTE_POS;
    let channels = output.shape(2);
    if here >= output.shape(0) * output.shape(1) * channels {
        terminate!();
    }
    let mut number = output[here];
    if comptime!(skips) {
        number += d[here % channels] * input[here];
    }
    if comptime!(gated) {
        number *= silu::<F>(z[here]);
    }
    output[here] = number;
}
