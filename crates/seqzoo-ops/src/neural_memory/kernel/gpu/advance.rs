//! Weights and momentum from block to block, and what every answer is off by.

use super::super::blocks::mark;
use super::edges::{ADDED, EDGES, KIND, MOMENTUM_ADDED, MOMENTUM_LEFT, MOVED, STEP, WEIGHTS_LEFT, WHOLE};
use super::find::find;
use crate::matrix_memory::kernel::gpu::columns::{PARTIAL, ROWS, SLICES, UNITS, found};
use crate::matrix_memory::kernel::gpu::tile::{CHUNK, Place, WIDTH, load_chunk, value_row};
use cubecl::prelude::*;

/// With `W*` the weights where the chunk begins, and the rows of [`edges`](super::edges) as factors,
///
/// ```text
/// D = 2 (K W* - V)        U = -step ⊙ D
/// W' = weights_left W + momentum_added S + Kᵀ (added ⊙ U)        S' = momentum_left S + Kᵀ (moved ⊙ U)
/// ```
///
/// Before a block whose kind says so, `W` becomes the initial weights and `S` zero, and `W*` becomes `W`.
///
/// `differences` `[b, s, h, v]` holds the values, and receives `D`; `states` `[b, h, n, 2k, v]` receives `W` and `S`
/// before every block; `last` `[b, h, 3k, v]` holds `W`, `S` and `W*` before the first, and receives those after the
/// last. One cube per sequence, head and `WIDTH` columns of the memory: columns never meet.
#[cube(launch)]
pub(super) fn advance<F: Float>(
    keys: &Tensor<F>,
    edges: &Tensor<F>,
    initial: &Tensor<F>,
    differences: &mut Tensor<F>,
    states: &mut Tensor<F>,
    last: &mut Tensor<F>,
    #[comptime] tiles: usize,
    #[define(F)] _dtype: ElemType,
) {
    let heads = initial.shape(1);
    let key_width = initial.shape(2);
    let value_width = initial.shape(3);
    let time = keys.shape(1);
    let blocks = states.shape(2);
    let ranges = value_width.div_ceil(WIDTH);
    let stream = CUBE_POS / ranges;
    if stream >= initial.shape(0) * heads {
        terminate!();
    }

    let unit = UNIT_POS as usize;
    let slice = unit / WIDTH;
    let column = unit % WIDTH;
    let value = (CUBE_POS % ranges) * WIDTH + column;
    let size = key_width * value_width;
    let zero = F::new(0.0_f32);

    let mut key_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut partial = Shared::<[F]>::new_slice(PARTIAL);
    let mut edge = Shared::<[F]>::new_slice(EDGES * CHUNK);
    let mut written = Shared::<[F]>::new_slice(CHUNK * WIDTH);

    let mut weights = Array::<F>::new(comptime!(tiles * ROWS));
    let mut momentum = Array::<F>::new(comptime!(tiles * ROWS));
    let mut start = Array::<F>::new(comptime!(tiles * ROWS));
    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        weights[index] = zero;
        momentum[index] = zero;
        start[index] = zero;
        if key < key_width && value < value_width {
            let here = stream * 3 * size + key * value_width + value;
            weights[index] = last[here];
            momentum[index] = last[here + size];
            start[index] = last[here + 2 * size];
        }
    }

    for block in 0..blocks {
        let square = stream * blocks + block;
        let place = Place { batch: stream / heads, head: stream % heads, heads, from: block * CHUNK };
        if unit < EDGES * CHUNK {
            edge[unit] = edges[square * EDGES * CHUNK + unit];
        }
        sync_cube();

        let kind = edge[WHOLE * CHUNK + KIND];
        for index in 0..comptime!(tiles * ROWS) {
            let key = slice + index * SLICES;
            if key < key_width && value < value_width {
                let own = key * value_width + value;
                if kind >= F::new(mark::RESET) {
                    weights[index] = initial[stream * size + own];
                    momentum[index] = zero;
                }
                if kind >= F::new(mark::BEGINS) {
                    start[index] = weights[index];
                }
                states[square * 2 * size + own] = weights[index];
                states[square * 2 * size + size + own] = momentum[index];
            }
        }

        find::<F>(&mut partial, &mut key_tile, &start, keys, &place, tiles);
        #[unroll]
        for r in 0..CHUNK / SLICES {
            let i = slice + r * SLICES;
            let mut difference = zero;
            if value < value_width {
                let here = value_row(&place, time, place.from + i) * value_width + value;
                difference = F::new(2.0_f32) * (found::<F>(&partial, i, column) - differences[here]);
                differences[here] = difference;
            }
            written[i * WIDTH + column] = zero - edge[STEP * CHUNK + i] * difference;
        }
        sync_cube();

        let one = F::new(1.0_f32);
        let weights_left = edge[WHOLE * CHUNK + WEIGHTS_LEFT];
        let momentum_added = edge[WHOLE * CHUNK + MOMENTUM_ADDED];
        let momentum_left = edge[WHOLE * CHUNK + MOMENTUM_LEFT];
        for tile in 0..tiles {
            load_chunk::<F>(&mut key_tile, keys, &place, tile * WIDTH, one, WIDTH, WIDTH, UNITS);
            sync_cube();
            let mut own_weights = Array::<F>::new(ROWS);
            let mut own_momentum = Array::<F>::new(ROWS);
            #[unroll]
            for r in 0..ROWS {
                let before = momentum[tile * ROWS + r];
                own_weights[r] = weights_left * weights[tile * ROWS + r] + momentum_added * before;
                own_momentum[r] = momentum_left * before;
            }
            for i in 0..CHUNK {
                let number = written[i * WIDTH + column];
                let added = edge[ADDED * CHUNK + i] * number;
                let moved = edge[MOVED * CHUNK + i] * number;
                #[unroll]
                for r in 0..ROWS {
                    let key = key_tile[i * WIDTH + slice + r * SLICES];
                    own_weights[r] += key * added;
                    own_momentum[r] += key * moved;
                }
            }
            #[unroll]
            for r in 0..ROWS {
                weights[tile * ROWS + r] = own_weights[r];
                momentum[tile * ROWS + r] = own_momentum[r];
            }
            sync_cube();
        }
    }

    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        if key < key_width && value < value_width {
            let here = stream * 3 * size + key * value_width + value;
            last[here] = weights[index];
            last[here + size] = momentum[index];
            last[here + 2 * size] = start[index];
        }
    }
}
