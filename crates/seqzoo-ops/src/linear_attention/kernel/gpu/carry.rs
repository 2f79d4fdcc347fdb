//! The memory, from chunk to chunk.

use crate::matrix_memory::kernel::gpu::tile::{CHUNK, Place, WIDTH, factor_of, fade, load_chunk};
use cubecl::prelude::*;

/// Units per cube: each holds `ROWS` numbers of the memory.
pub(super) const UNITS: usize = 256;
const ROWS: usize = WIDTH * WIDTH / UNITS;

/// Forward: the memory before every chunk and after the last, `S' = diag(factors) S + (k ⊙ after)ᵀ v`.
///
/// In reverse: the gradient of the memory after every chunk and before the first,
/// `D' = diag(factors) D + (scale · q ⊙ through)ᵀ do`.
///
/// `start` and `last` are `[b, h, k, v]`, `memories` is `[b, h, n, k, v]`. One cube per sequence, head
/// and tile of the memory.
#[cube(launch)]
pub(super) fn carry<F: Float>(
    keys: &Tensor<F>,
    values: &Tensor<F>,
    factors: &Tensor<F>,
    start: &Tensor<F>,
    memories: &mut Tensor<F>,
    last: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let heads = start.shape(1);
    let key_width = start.shape(2);
    let value_width = start.shape(3);
    let chunks = memories.shape(2);
    let value_tiles = value_width.div_ceil(WIDTH);
    let tiles = value_tiles * key_width.div_ceil(WIDTH);
    let stream = CUBE_POS / tiles;
    if stream >= start.shape(0) * heads {
        terminate!();
    }
    let from_key = (CUBE_POS % tiles) / value_tiles * WIDTH;
    let from_value = (CUBE_POS % tiles) % value_tiles * WIDTH;

    let unit = UNIT_POS as usize;
    let first_row = unit / WIDTH;
    let column = unit % WIDTH;
    let value = from_value + column;
    let size = key_width * value_width;

    let mut key_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut value_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut whole = Shared::<[F]>::new_slice(WIDTH);

    let mut memory = Array::<F>::new(ROWS);
    #[unroll]
    for r in 0..ROWS {
        let key = from_key + first_row + r * (UNITS / WIDTH);
        memory[r] = F::new(0.0_f32);
        if key < key_width && value < value_width {
            memory[r] = start[stream * size + key * value_width + value];
            if comptime!(!reverse) {
                // A product would not clear a memory that is infinite.
                let begin = Place { batch: stream / heads, head: stream % heads, heads, from: 0usize };
                if factor_of::<F>(factors, &begin, 0usize, key, channels) == F::new(0.0_f32) {
                    memory[r] = F::new(0.0_f32);
                }
            }
        }
    }

    for step in 0..chunks {
        let mut chunk = step;
        if comptime!(reverse) {
            chunk = chunks - 1 - step;
        }
        #[unroll]
        for r in 0..ROWS {
            let key = from_key + first_row + r * (UNITS / WIDTH);
            if key < key_width && value < value_width {
                memories[(stream * chunks + chunk) * size + key * value_width + value] = memory[r];
            }
        }

        let place = Place { batch: stream / heads, head: stream % heads, heads, from: chunk * CHUNK };
        let one = F::new(1.0_f32);
        load_chunk::<F>(&mut key_tile, keys, &place, from_key, scale.get::<F>(), WIDTH, WIDTH, UNITS);
        load_chunk::<F>(&mut value_tile, values, &place, from_value, one, WIDTH, WIDTH, UNITS);
        sync_cube();
        // A write fades from after its token on; a read has faded through its token.
        fade::<F>(
            &mut key_tile,
            &mut whole,
            factors,
            &place,
            from_key,
            key_width,
            WIDTH,
            comptime!(!reverse),
            channels,
        );
        sync_cube();
        #[unroll]
        for r in 0..ROWS {
            memory[r] *= whole[first_row + r * (UNITS / WIDTH)];
        }
        for i in 0..CHUNK {
            let number = value_tile[i * WIDTH + column];
            #[unroll]
            for r in 0..ROWS {
                memory[r] += key_tile[i * WIDTH + first_row + r * (UNITS / WIDTH)] * number;
            }
        }
        sync_cube();
    }

    #[unroll]
    for r in 0..ROWS {
        let key = from_key + first_row + r * (UNITS / WIDTH);
        if key < key_width && value < value_width {
            last[stream * size + key * value_width + value] = memory[r];
        }
    }
}
