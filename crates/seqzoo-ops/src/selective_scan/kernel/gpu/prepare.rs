//! What the numbers of a state share at a token.

use super::functions::silu;
use super::steps::{Rule, shifted, step};
use cubecl::prelude::*;

/// The steps and the steps times the inputs, `[2, b, t, e]`, or `[3, b, t, e]` with the gradients of what is read of the
/// states, which are those of the outputs through the gates. One unit per number of a slot.
///
/// They are one tensor, for no program takes more than seven.
#[cube(launch)]
pub(super) fn prepare<F: Float>(
    delta: &Tensor<F>,
    bias: &Tensor<F>,
    input: &Tensor<F>,
    upstream: &Tensor<F>,
    z: &Tensor<F>,
    tokens: &mut Tensor<F>,
    least: InputScalar,
    most: InputScalar,
    #[comptime] rule: Rule,
    #[comptime] has_upstream: bool,
    #[comptime] gated: bool,
    #[define(F)] _dtype: ElemType,
) {
    let here = ABSOLUTE_POS;
    let count = tokens.shape(1) * tokens.shape(2) * tokens.shape(3);
    if here >= count {
        terminate!();
    }
    let shifted = shifted::<F>(delta, bias, here, rule);
    let step = step::<F>(shifted, least.get::<F>(), most.get::<F>(), rule);
    tokens[here] = step;
    tokens[count + here] = step * input[here];
    if comptime!(has_upstream) {
        let mut gradient = upstream[here];
        if comptime!(gated) {
            gradient *= silu::<F>(z[here]);
        }
        tokens[2 * count + here] = gradient;
    }
}
