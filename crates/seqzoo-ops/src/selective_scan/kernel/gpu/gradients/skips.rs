//! The gradients of the skips.

use super::super::functions::silu;
use super::super::kind::CHUNK;
use crate::scan::kernel::gpu::place::{place, token};
use cubecl::prelude::*;

/// The sums of `u dy` over the tokens of every chunk, `[b, chunks, e]`, with `dy` through the gate. One unit per sum.
#[cube(launch)]
pub(in super::super) fn skips<F: Float>(
    input: &Tensor<F>,
    z: &Tensor<F>,
    upstream: &Tensor<F>,
    out: &mut Tensor<F>,
    #[comptime] gated: bool,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let time = input.shape(1);
    let channels = input.shape(2);
    let chunks = out.shape(1);
    if unit >= out.shape(0) * chunks * channels {
        terminate!();
    }
    let place = place(unit, chunks, time, channels, CHUNK);
    let mut sum = F::new(0.0_f32);
    for i in 0..place.chunk.length {
        let here = token(&place.chunk, i, false) * channels + place.channel;
        let mut gradient = upstream[here];
        if comptime!(gated) {
            gradient *= silu::<F>(z[here]);
        }
        sum += input[here] * gradient;
    }
    out[unit] = sum;
}
