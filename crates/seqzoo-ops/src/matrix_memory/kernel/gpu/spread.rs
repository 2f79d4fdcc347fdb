//! The gradients that queries and keys have through the memory.

use super::tile::{CHUNK, Place, WIDTH, fade, load_chunk, load_memory, value_row};
use cubecl::prelude::*;

/// Units per cube: each has one column and `ROWS` rows of the output.
pub(super) const UNITS: usize = 256;

const ROWS: usize = CHUNK * WIDTH / UNITS;

/// One more than the width, so that neighbouring rows lie in different banks.
const STRIDE: usize = WIDTH + 1;

/// Forward: what queries read, `through ⊙ (do Sᵀ)`, from the memory before the chunk.
///
/// In reverse: what keys wrote, `after ⊙ (v Dᵀ)`, from the gradient of the memory after the chunk.
///
/// One cube per chunk and tile of the keys' channels.
#[cube(launch)]
pub(super) fn spread<F: Float>(
    values: &Tensor<F>,
    factors: &Tensor<F>,
    memories: &Tensor<F>,
    out: &mut Tensor<F>,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let heads = memories.shape(1);
    let chunks = memories.shape(2);
    let key_width = memories.shape(3);
    let value_width = memories.shape(4);
    let tiles = key_width.div_ceil(WIDTH);
    let square = CUBE_POS / tiles; // the chunk, among those of all sequences and heads
    let stream = square / chunks;
    if stream >= memories.shape(0) * heads {
        terminate!();
    }
    let from_key = (CUBE_POS % tiles) * WIDTH;
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % chunks) * CHUNK };

    let unit = UNIT_POS as usize;
    let first_row = unit / WIDTH;
    let column = unit % WIDTH;
    let one = F::new(1.0_f32);

    let mut value_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut memory_tile = Shared::<[F]>::new_slice(WIDTH * STRIDE);
    let mut fading = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut whole = Shared::<[F]>::new_slice(WIDTH);
    let mut sums = Array::<F>::new(ROWS);
    #[unroll]
    for r in 0..ROWS {
        sums[r] = F::new(0.0_f32);
        fading[(first_row + r * (UNITS / WIDTH)) * WIDTH + column] = one;
    }
    sync_cube();
    fade::<F>(&mut fading, &mut whole, factors, &place, from_key, key_width, WIDTH, reverse, channels);

    let mut from = 0usize;
    while from < value_width {
        load_chunk::<F>(&mut value_tile, values, &place, from, one, WIDTH, WIDTH, UNITS);
        load_memory::<F>(
            &mut memory_tile,
            memories,
            square * key_width * value_width,
            key_width,
            value_width,
            from_key,
            from,
            WIDTH,
            STRIDE,
            UNITS,
        );
        sync_cube();
        for c in 0..WIDTH {
            let factor = memory_tile[column * STRIDE + c];
            #[unroll]
            for r in 0..ROWS {
                sums[r] += value_tile[(first_row + r * (UNITS / WIDTH)) * WIDTH + c] * factor;
            }
        }
        sync_cube();
        from += WIDTH;
    }

    #[unroll]
    for r in 0..ROWS {
        let i = first_row + r * (UNITS / WIDTH);
        let token = place.from + i;
        if token < out.shape(1) && from_key + column < key_width {
            let row = value_row(&place, out.shape(1), token);
            out[row * key_width + from_key + column] = fading[i * WIDTH + column] * sums[r];
        }
    }
}
