//! The gradients of the inputs.

use super::super::functions::silu;
use super::super::steps::{Rule, shifted, step};
use cubecl::prelude::*;

/// `Δ Σ_n ḡ B + D dy`, with `dy` through the gate. One unit per number.
#[cube(launch)]
pub(in super::super) fn inputs<F: Float>(
    tokens: &Tensor<F>,
    delta: &Tensor<F>,
    bias: &Tensor<F>,
    d: &Tensor<F>,
    z: &Tensor<F>,
    upstream: &Tensor<F>,
    out: &mut Tensor<F>,
    least: InputScalar,
    most: InputScalar,
    #[comptime] rule: Rule,
    #[comptime] skips: bool,
    #[comptime] gated: bool,
    #[define(F)] _dtype: ElemType,
) {
    let here = ABSOLUTE_POS;
    let channels = delta.shape(2);
    let count = delta.shape(0) * delta.shape(1) * channels;
    if here >= count {
        terminate!();
    }
    let shifted = shifted::<F>(delta, bias, here, rule);
    let step = step::<F>(shifted, least.get::<F>(), most.get::<F>(), rule);
    let mut gradient = step * tokens[count + here];
    if comptime!(skips) {
        let mut direct = d[here % channels] * upstream[here];
        if comptime!(gated) {
            direct *= silu::<F>(z[here]);
        }
        gradient += direct;
    }
    out[here] = gradient;
}
