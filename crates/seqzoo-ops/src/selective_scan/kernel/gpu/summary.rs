//! What a chunk does to the states, as one step.

use super::groups::{group_of, numbers_of};
use super::kind::{CHUNK, Kind, rate};
use crate::scan::kernel::gpu::place::{place, token};
use crate::scan::kernel::gpu::reset::cleared;
use cubecl::prelude::*;

/// A chunk as one step `h = p h + l`, `[2, b, chunks, e n]`: the factor `p = exp(A Σ Δ)`, or 0 if the state is cleared on
/// the way, and what the recurrence ends with if it begins with zero.
///
/// Forward, `h = exp(Δ A) h + Δ u B`, with `shared` the `B`. In reverse, for gradients, `c = exp(Δ A) (c + dy C)`, with
/// `shared` the `C`. One unit per chunk and number of the states.
#[cube(launch)]
pub(super) fn summary<F: Float>(
    tokens: &Tensor<F>,
    a: &Tensor<F>,
    shared: &Tensor<F>,
    resets: &Tensor<F>,
    summaries: &mut Tensor<F>,
    #[comptime] kind: Kind,
    #[comptime] reverse: bool,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let batch = tokens.shape(1);
    let time = tokens.shape(2);
    let channels = a.shape(0);
    let size = a.shape(1);
    let groups = shared.shape(2);
    let chunks = summaries.shape(2);
    let units = batch * chunks * channels * size;
    if unit >= units {
        terminate!();
    }
    let number = unit % size;
    let place = place(unit / size, chunks, time, channels, CHUNK);
    let channel = place.channel;
    let group = group_of(channel, channels, groups);
    let count = batch * time * channels;
    let slot = if comptime!(reverse) { 2 * count } else { count };

    let zero = F::new(0.0_f32);
    let rate = rate::<F>(a, channel * size + number, kind);
    let mut steps = zero;
    let mut h = zero;
    let mut cut = false.runtime();
    for i in 0..place.chunk.length {
        let token = token(&place.chunk, i, reverse);
        let here = token * channels + channel;
        let step = tokens[here];
        let written = tokens[slot + here] * shared[numbers_of(group, token, groups, size) + number];
        let factor = (step * rate).exp();
        let clears = cleared::<F>(resets, token, kind.resets);
        steps += step;
        if comptime!(reverse) {
            h = factor * (h + written);
            if clears {
                h = zero;
            }
        } else {
            if clears {
                h = zero;
            }
            h = factor * h + written;
        }
        if clears {
            cut = true.runtime();
        }
    }
    summaries[unit] = select(cut, zero, (steps * rate).exp());
    summaries[units + unit] = h;
}
