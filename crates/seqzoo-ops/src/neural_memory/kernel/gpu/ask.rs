//! What the gradients of the answers to the keys say of the keys.

use super::super::blocks::SLOTS;
use super::edges::{EDGES, ORIGIN, STEP, WHOLE};
use crate::matrix_memory::kernel::gpu::tile::{CHUNK, Place, WIDTH, load_chunk, load_memory, value_row};
use cubecl::prelude::*;

/// Units per cube: each has one column and `ROWS` rows of the output.
pub(super) const UNITS: usize = 256;
const ROWS: usize = CHUNK * WIDTH / UNITS;

/// One more than the width, so that neighbouring rows lie in different banks.
const STRIDE: usize = WIDTH + 1;

/// Adds `-2 step ⊙ (dU W*ᵀ)` to `out` `[b, s, h, k]`. `W*` are the weights in `states` `[b, h, n, 2k, v]` before the block
/// that the chunk begins with, or those that `memory` `[b, h, 3k, v]` ends with, if that was before the first. One cube per
/// block and tile of the keys' channels.
#[cube(launch)]
pub(super) fn ask<F: Float>(
    of_written: &Tensor<F>,
    edges: &Tensor<F>,
    states: &Tensor<F>,
    memory: &Tensor<F>,
    out: &mut Tensor<F>,
    #[define(F)] _dtype: ElemType,
) {
    let heads = states.shape(1);
    let blocks = states.shape(2);
    let key_width = states.shape(3) / 2;
    let value_width = states.shape(4);
    let tiles = key_width.div_ceil(WIDTH);
    let square = CUBE_POS / tiles;
    let stream = square / blocks;
    if stream >= states.shape(0) * heads {
        terminate!();
    }
    let from_key = (CUBE_POS % tiles) * WIDTH;
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % blocks) * SLOTS };
    let size = key_width * value_width;
    let here = square * EDGES * SLOTS;
    let origin = edges[here + WHOLE * SLOTS + ORIGIN];

    let unit = UNIT_POS as usize;
    let first_row = unit / WIDTH;
    let column = unit % WIDTH;
    let mut gradient_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut memory_tile = Shared::<[F]>::new_slice(WIDTH * STRIDE);
    let mut sums = Array::<F>::new(ROWS);
    #[unroll]
    for r in 0..ROWS {
        sums[r] = F::new(0.0_f32);
    }

    let mut from = 0usize;
    while from < value_width {
        let one = F::new(1.0_f32);
        load_chunk::<F>(&mut gradient_tile, of_written, &place, from, one, WIDTH, WIDTH, UNITS);
        if origin < F::new(0.0_f32) {
            let start = stream * 3 * size + 2 * size;
            load_memory::<F>(
                &mut memory_tile,
                memory,
                start,
                key_width,
                value_width,
                from_key,
                from,
                WIDTH,
                STRIDE,
                UNITS,
            );
        } else {
            let start = (stream * blocks + u32::cast_from(origin) as usize) * 2 * size;
            load_memory::<F>(
                &mut memory_tile,
                states,
                start,
                key_width,
                value_width,
                from_key,
                from,
                WIDTH,
                STRIDE,
                UNITS,
            );
        }
        sync_cube();
        for c in 0..WIDTH {
            let factor = memory_tile[column * STRIDE + c];
            #[unroll]
            for r in 0..ROWS {
                sums[r] += gradient_tile[(first_row + r * (UNITS / WIDTH)) * WIDTH + c] * factor;
            }
        }
        sync_cube();
        from += WIDTH;
    }

    #[unroll]
    for r in 0..ROWS {
        let i = first_row + r * (UNITS / WIDTH);
        if from_key + column < key_width {
            let row = value_row(&place, out.shape(1), place.from + i);
            let factor = F::new(-2.0_f32) * edges[here + STEP * SLOTS + i];
            out[row * key_width + from_key + column] += factor * sums[r];
        }
    }
}
