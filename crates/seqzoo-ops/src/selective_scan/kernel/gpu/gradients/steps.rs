//! The gradients of `delta`.

use super::super::steps::{Rule, shifted, step_gradient};
use cubecl::prelude::*;

/// Of the step, `u Σ_n ḡ B + Σ_n A ḡ p`, and through the rule of the steps. One unit per number.
#[cube(launch)]
pub(in super::super) fn steps<F: Float>(
    tokens: &Tensor<F>,
    input: &Tensor<F>,
    delta: &Tensor<F>,
    bias: &Tensor<F>,
    out: &mut Tensor<F>,
    least: InputScalar,
    most: InputScalar,
    #[comptime] rule: Rule,
    #[define(F)] _dtype: ElemType,
) {
    let here = ABSOLUTE_POS;
    let count = delta.shape(0) * delta.shape(1) * delta.shape(2);
    if here >= count {
        terminate!();
    }
    let gradient = input[here] * tokens[count + here] + tokens[2 * count + here];
    let shifted = shifted::<F>(delta, bias, here, rule);
    out[here] = step_gradient::<F>(shifted, gradient, least.get::<F>(), most.get::<F>(), rule);
}
