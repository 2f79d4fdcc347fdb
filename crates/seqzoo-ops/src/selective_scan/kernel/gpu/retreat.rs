//! The way back over a chunk.

use super::groups::numbers_of;
use super::kind::{CHUNK, Kind, rate};
use crate::scan::kernel::gpu::place::{chunk, token};
use crate::scan::kernel::gpu::reset::cleared;
use cubecl::prelude::*;

/// The most channels that a cube has: with them a tile of two gradients of a chunk has 16 KiB in `f32`.
pub(super) const UNITS: usize = 64;

/// The gradients that a chunk owes to everything.
///
/// `tokens`, `[3, b, t, e]`, holds the steps, what is written and the gradients of what is read; they are replaced by what
/// is read (if it is `gated`), `Σ_n ḡ B` and `Σ_n A ḡ p`, where `p` is the old state as the token finds it. `shared`,
/// `[2, b, t, g, n]`, is `B` and `C`; `states` are before the chunks. `gradients`, `[b, chunks, e n]`, are those of the
/// states after the chunks, and then those of `a`, chunk by chunk. `of_shared`, `[2, b, t, g, blocks, n]`, are the
/// gradients of `B` and `C` from the channels of a block.
///
/// One cube per chunk and `units` channels of a group. Number after number of the state, a unit walks along its channel and
/// back; in between nothing but `p` is kept. What the channels give to `B` and `C` meets in shared memory, where every sum
/// has its order.
#[cube(launch)]
pub(super) fn retreat<F: Float>(
    tokens: &mut Tensor<F>,
    a: &Tensor<F>,
    shared: &Tensor<F>,
    resets: &Tensor<F>,
    states: &Tensor<F>,
    gradients: &mut Tensor<F>,
    of_shared: &mut Tensor<F>,
    #[comptime] kind: Kind,
    #[comptime] gated: bool,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let batch = tokens.shape(1);
    let time = tokens.shape(2);
    let channels = a.shape(0);
    let size = a.shape(1);
    let groups = shared.shape(3);
    let chunks = states.shape(1);
    let blocks = of_shared.shape(4);
    let block = CUBE_POS % blocks;
    let group = CUBE_POS / blocks % groups;
    let index = CUBE_POS / blocks / groups % chunks;
    let row = CUBE_POS / blocks / groups / chunks;
    if row >= batch {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let of_group = channels / groups;
    // A unit without a channel reads another's, and counts it as nothing.
    let active = block * units + unit < of_group;
    let channel = group * of_group + select(active, block * units + unit, of_group - 1);
    let chunk = chunk(row, index, time, CHUNK);
    let count = batch * time * channels;
    let of_c = batch * time * groups * size;

    let zero = F::new(0.0_f32);
    let mut read = Array::<F>::new(CHUNK);
    let mut through_writes = Array::<F>::new(CHUNK);
    let mut through_factors = Array::<F>::new(CHUNK);
    let mut faded = Array::<F>::new(CHUNK);
    for i in 0..CHUNK {
        read[i] = zero;
        through_writes[i] = zero;
        through_factors[i] = zero;
    }
    let mut tile = Shared::<[F]>::new_slice(2 * CHUNK * units);

    for number in 0..size {
        let rate = rate::<F>(a, channel * size + number, kind);
        let at = ((row * chunks + index) * channels + channel) * size + number;
        let mut h = select(active, states[at], zero);
        for i in 0..chunk.length {
            let token = token(&chunk, i, false);
            let here = token * channels + channel;
            let beside = numbers_of(group, token, groups, size) + number;
            let step = select(active, tokens[here], zero);
            let written = select(active, tokens[count + here], zero);
            let upstream = select(active, tokens[2 * count + here], zero);
            let mut old = (step * rate).exp() * h;
            if cleared::<F>(resets, token, kind.resets) {
                old = zero;
            }
            faded[i] = old;
            h = old + written * shared[beside];
            if comptime!(gated) {
                read[i] += shared[of_c + beside] * h;
            }
            tile[(CHUNK + i) * units + unit] = upstream * h;
        }

        let mut g = select(active, gradients[at], zero);
        let mut of_rate = zero;
        for back in 0..chunk.length {
            let i = chunk.length - 1 - back;
            let token = token(&chunk, i, false);
            let here = token * channels + channel;
            let beside = numbers_of(group, token, groups, size) + number;
            let step = select(active, tokens[here], zero);
            let written = select(active, tokens[count + here], zero);
            let upstream = select(active, tokens[2 * count + here], zero);
            g += upstream * shared[of_c + beside];
            tile[i * units + unit] = written * g;
            through_writes[i] += g * shared[beside];
            let through = g * faded[i];
            of_rate += through * step;
            through_factors[i] += through * rate;
            g *= (step * rate).exp();
            if cleared::<F>(resets, token, kind.resets) {
                g = zero;
            }
        }
        if active {
            // The derivative of A = -exp(a) is A itself.
            gradients[at] = if comptime!(kind.a_log) { of_rate * rate } else { of_rate };
        }

        sync_cube();
        let mut line = unit;
        while line < 2 * CHUNK {
            let i = line % CHUNK;
            if i < chunk.length {
                let mut sum = zero;
                for k in 0..units {
                    // Lines begin with different columns, for those of one column wait for each other.
                    sum += tile[line * units + (k + line) % units];
                }
                let token = (line / CHUNK * batch * time + chunk.first + i) * groups + group;
                of_shared[(token * blocks + block) * size + number] = sum;
            }
            line += units;
        }
        sync_cube();
    }

    if active {
        for i in 0..chunk.length {
            let here = token(&chunk, i, false) * channels + channel;
            tokens[here] = read[i];
            tokens[count + here] = through_writes[i];
            tokens[2 * count + here] = through_factors[i];
        }
    }
}
