//! The steps of tokens, and what a step owes to `delta`.

use super::call::Sequence;
use crate::kernel::cpu::channels::blocks::Block;
use crate::kernel::cpu::channels::rows::load;
use crate::kernel::cpu::functions::{sigmoid, softplus};
use crate::kernel::cpu::lanes::Real;
use pulp::Simd;

/// `delta` and its bias.
#[inline(always)]
fn shifted<S: Simd, E: Real>(
    simd: S,
    sequence: &Sequence<'_, E>,
    token: usize,
    block: Block,
) -> E::Vector<S> {
    let delta = load(simd, sequence.delta, token, block);
    match sequence.bias {
        Some(bias) => E::plus(simd, delta, load(simd, bias, 0, block)),
        None => delta,
    }
}

/// The steps of the channels of `block`, for the token that begins at `token`.
#[inline(always)]
pub(super) fn step<S: Simd, E: Real>(
    simd: S,
    sequence: &Sequence<'_, E>,
    token: usize,
    block: Block,
) -> E::Vector<S> {
    let shifted = shifted(simd, sequence, token, block);
    let step = if sequence.softplus { softplus::<S, E>(simd, shifted) } else { shifted };
    match sequence.limits {
        Some((least, most)) => {
            let least = E::splat(simd, least);
            let most = E::splat(simd, most);
            let step = E::if_less(simd, step, least, least, step);
            E::if_less(simd, most, step, most, step)
        }
        None => step,
    }
}

/// The gradients of `delta` from those of the steps.
#[inline(always)]
pub(super) fn step_gradient<S: Simd, E: Real>(
    simd: S,
    sequence: &Sequence<'_, E>,
    token: usize,
    block: Block,
    gradient: E::Vector<S>,
) -> E::Vector<S> {
    if !sequence.softplus && sequence.limits.is_none() {
        return gradient;
    }
    let zero = E::splat(simd, E::default());
    let shifted = shifted(simd, sequence, token, block);
    let mut gradient = gradient;
    if let Some((least, most)) = sequence.limits {
        let step = if sequence.softplus { softplus::<S, E>(simd, shifted) } else { shifted };
        gradient = E::if_less(simd, step, E::splat(simd, least), zero, gradient);
        gradient = E::if_less(simd, E::splat(simd, most), step, zero, gradient);
    }
    if sequence.softplus {
        gradient = E::times(simd, gradient, sigmoid::<S, E>(simd, shifted));
    }
    gradient
}
