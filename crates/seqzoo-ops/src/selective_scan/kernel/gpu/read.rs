//! The recurrence itself, and what is read of the states.

use super::groups::{group_of, numbers_of};
use super::kind::{CHUNK, Kind, rate};
use crate::scan::kernel::gpu::place::{place, token};
use crate::scan::kernel::gpu::reset::cleared;
use cubecl::prelude::*;

/// Numbers of a state that stay in registers along a chunk, at most.
pub(super) const WIDTH: usize = 16;

/// `h = exp(Δ A) h + Δ u B` and `y = C · h`.
///
/// `carried`, `[b, chunks, e n]`, holds the states before the chunks and, with `leaves`, after them when the program ends.
/// One unit per chunk and channel: neighbours have neighbouring channels. It takes `width` numbers of the state at once,
/// which divides their number.
#[cube(launch)]
pub(super) fn read<F: Float>(
    tokens: &Tensor<F>,
    a: &Tensor<F>,
    b: &Tensor<F>,
    c: &Tensor<F>,
    resets: &Tensor<F>,
    carried: &mut Tensor<F>,
    output: &mut Tensor<F>,
    #[comptime] kind: Kind,
    #[comptime] width: usize,
    #[comptime] leaves: bool,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let batch = tokens.shape(1);
    let time = tokens.shape(2);
    let channels = a.shape(0);
    let size = a.shape(1);
    let groups = b.shape(2);
    let chunks = carried.shape(1);
    if unit >= batch * chunks * channels {
        terminate!();
    }
    let place = place(unit, chunks, time, channels, CHUNK);
    let channel = place.channel;
    let group = group_of(channel, channels, groups);
    let count = batch * time * channels;

    let zero = F::new(0.0_f32);
    let mut rates = Array::<F>::new(width);
    let mut state = Array::<F>::new(width);
    for block in 0..size / width {
        let number = block * width;
        #[unroll]
        for n in 0..width {
            rates[n] = rate::<F>(a, channel * size + number + n, kind);
            state[n] = carried[unit * size + number + n];
        }
        for i in 0..place.chunk.length {
            let token = token(&place.chunk, i, false);
            let here = token * channels + channel;
            let shared = numbers_of(group, token, groups, size) + number;
            let step = tokens[here];
            let written = tokens[count + here];
            if cleared::<F>(resets, token, kind.resets) {
                #[unroll]
                for n in 0..width {
                    state[n] = zero;
                }
            }
            let mut sum = zero;
            if block > 0 {
                sum = output[here];
            }
            #[unroll]
            for n in 0..width {
                state[n] = (step * rates[n]).exp() * state[n] + written * b[shared + n];
                sum += c[shared + n] * state[n];
            }
            output[here] = sum;
        }
        if comptime!(leaves) {
            #[unroll]
            for n in 0..width {
                carried[unit * size + number + n] = state[n];
            }
        }
    }
}
