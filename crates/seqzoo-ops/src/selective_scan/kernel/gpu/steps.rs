//! The steps of tokens, and what a step owes to `delta`.

use super::functions::{sigmoid, softplus};
use cubecl::prelude::*;

/// How a step is made of `delta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rule {
    pub bias: bool,
    pub softplus: bool,
    pub limits: bool,
}

/// `delta` and its bias, of the number at `here`.
#[cube]
pub(super) fn shifted<F: Float>(
    delta: &Tensor<F>,
    bias: &Tensor<F>,
    here: usize,
    #[comptime] rule: Rule,
) -> F {
    let mut shifted = delta[here];
    if comptime!(rule.bias) {
        shifted += bias[here % delta.shape(2)];
    }
    shifted
}

/// The step before the limits.
#[cube]
fn unlimited<F: Float>(shifted: F, #[comptime] rule: Rule) -> F {
    let mut step = shifted;
    if comptime!(rule.softplus) {
        step = softplus::<F>(shifted);
    }
    step
}

#[cube]
pub(super) fn step<F: Float>(shifted: F, least: F, most: F, #[comptime] rule: Rule) -> F {
    let mut step = unlimited::<F>(shifted, rule);
    if comptime!(rule.limits) {
        step = step.clamp(least, most);
    }
    step
}

/// The gradient of `delta` from that of the step, which has none outside the limits.
#[cube]
pub(super) fn step_gradient<F: Float>(
    shifted: F,
    gradient: F,
    least: F,
    most: F,
    #[comptime] rule: Rule,
) -> F {
    let mut found = gradient;
    if comptime!(rule.softplus) {
        found *= sigmoid::<F>(shifted);
    }
    if comptime!(rule.limits) {
        let step = unlimited::<F>(shifted, rule);
        if step < least || step > most {
            found = F::new(0.0_f32);
        }
    }
    found
}
