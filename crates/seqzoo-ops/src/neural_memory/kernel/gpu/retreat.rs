//! The gradients of weights and momentum, from the last block to the first.

use super::super::blocks::mark;
use super::edges::{ADDED, EDGES, KIND, MOMENTUM_ADDED, MOMENTUM_LEFT, MOVED, STEP, WEIGHTS_LEFT, WHOLE};
use super::find::find;
use crate::matrix_memory::kernel::gpu::columns::{PARTIAL, ROWS, SLICES, UNITS, found};
use crate::matrix_memory::kernel::gpu::tile::{CHUNK, Place, WIDTH, load_chunk, value_row};
use cubecl::prelude::*;

/// With `w` the gradient that a block's own outputs give to what it writes, and `X`, `Y` those that they give to the
/// weights and the momentum before it,
///
/// ```text
/// dU = w + added ⊙ (K dW') + moved ⊙ (K dS')        dW* += -2 Kᵀ (step ⊙ dU)
/// dW = weights_left dW' + X        dS = momentum_added dW' + momentum_left dS' + Y
/// ```
///
/// Where a chunk begins, `dW*` goes to `dW`; where the memory was reset, `dW` goes to the initial weights, and `dS` to
/// nothing.
///
/// `of_written` `[b, s, h, v]` holds `w`, and receives `dU`; `gradients` `[b, h, n, 2k, v]` holds `X` and `Y`, and
/// receives `dW'` and `dS'`; `first` `[b, h, 3k, v]` holds the gradients of `W`, `S` and `W*` after the last block, and
/// receives those before the first; `of_initial` `[b, h, k, v]` receives the gradient of the initial weights. One cube per
/// sequence, head and `WIDTH` columns.
#[cube(launch)]
pub(super) fn retreat<F: Float>(
    keys: &Tensor<F>,
    edges: &Tensor<F>,
    of_written: &mut Tensor<F>,
    gradients: &mut Tensor<F>,
    first: &mut Tensor<F>,
    of_initial: &mut Tensor<F>,
    #[comptime] tiles: usize,
    #[define(F)] _dtype: ElemType,
) {
    let heads = of_initial.shape(1);
    let key_width = of_initial.shape(2);
    let value_width = of_initial.shape(3);
    let time = keys.shape(1);
    let blocks = gradients.shape(2);
    let ranges = value_width.div_ceil(WIDTH);
    let stream = CUBE_POS / ranges;
    if stream >= of_initial.shape(0) * heads {
        terminate!();
    }

    let unit = UNIT_POS as usize;
    let slice = unit / WIDTH;
    let column = unit % WIDTH;
    let value = (CUBE_POS % ranges) * WIDTH + column;
    let size = key_width * value_width;
    let zero = F::new(0.0_f32);
    let one = F::new(1.0_f32);

    let mut key_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut partial = Shared::<[F]>::new_slice(PARTIAL);
    let mut edge = Shared::<[F]>::new_slice(EDGES * CHUNK);
    // First dU, then the gradient of the answers to the keys.
    let mut asked = Shared::<[F]>::new_slice(CHUNK * WIDTH);

    let mut weights = Array::<F>::new(comptime!(tiles * ROWS));
    let mut momentum = Array::<F>::new(comptime!(tiles * ROWS));
    let mut start = Array::<F>::new(comptime!(tiles * ROWS));
    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        weights[index] = zero;
        momentum[index] = zero;
        start[index] = zero;
        if key < key_width && value < value_width {
            let own = key * value_width + value;
            weights[index] = first[stream * 3 * size + own];
            momentum[index] = first[stream * 3 * size + size + own];
            start[index] = first[stream * 3 * size + 2 * size + own];
            of_initial[stream * size + own] = zero;
        }
    }

    for step in 0..blocks {
        let block = blocks - 1 - step;
        let square = stream * blocks + block;
        let place = Place { batch: stream / heads, head: stream % heads, heads, from: block * CHUNK };
        if unit < EDGES * CHUNK {
            edge[unit] = edges[square * EDGES * CHUNK + unit];
        }
        find::<F>(&mut partial, &mut key_tile, &weights, keys, &place, tiles);
        #[unroll]
        for r in 0..CHUNK / SLICES {
            let i = slice + r * SLICES;
            let mut number = zero;
            if value < value_width {
                number = of_written[value_row(&place, time, place.from + i) * value_width + value];
            }
            asked[i * WIDTH + column] = number + edge[ADDED * CHUNK + i] * found::<F>(&partial, i, column);
        }
        sync_cube();
        find::<F>(&mut partial, &mut key_tile, &momentum, keys, &place, tiles);
        #[unroll]
        for r in 0..CHUNK / SLICES {
            let i = slice + r * SLICES;
            let gradient =
                asked[i * WIDTH + column] + edge[MOVED * CHUNK + i] * found::<F>(&partial, i, column);
            if value < value_width {
                of_written[value_row(&place, time, place.from + i) * value_width + value] = gradient;
            }
            asked[i * WIDTH + column] = F::new(-2.0_f32) * edge[STEP * CHUNK + i] * gradient;
        }
        sync_cube();

        let kind = edge[WHOLE * CHUNK + KIND];
        let weights_left = edge[WHOLE * CHUNK + WEIGHTS_LEFT];
        let momentum_added = edge[WHOLE * CHUNK + MOMENTUM_ADDED];
        let momentum_left = edge[WHOLE * CHUNK + MOMENTUM_LEFT];
        for tile in 0..tiles {
            load_chunk::<F>(&mut key_tile, keys, &place, tile * WIDTH, one, WIDTH, WIDTH, UNITS);
            sync_cube();
            let mut own = Array::<F>::new(ROWS);
            #[unroll]
            for r in 0..ROWS {
                own[r] = start[tile * ROWS + r];
            }
            for i in 0..CHUNK {
                let number = asked[i * WIDTH + column];
                #[unroll]
                for r in 0..ROWS {
                    own[r] += key_tile[i * WIDTH + slice + r * SLICES] * number;
                }
            }
            #[unroll]
            for r in 0..ROWS {
                let index = tile * ROWS + r;
                let key = slice + index * SLICES;
                let after = weights[index];
                let moved = momentum[index];
                let mut before = weights_left * after;
                let mut turned = momentum_added * after + momentum_left * moved;
                start[index] = own[r];
                if key < key_width && value < value_width {
                    let here = square * 2 * size + key * value_width + value;
                    before += gradients[here];
                    turned += gradients[here + size];
                    gradients[here] = after;
                    gradients[here + size] = moved;
                    if kind >= F::new(mark::BEGINS) {
                        before += own[r];
                        start[index] = zero;
                    }
                    if kind >= F::new(mark::RESET) {
                        of_initial[stream * size + key * value_width + value] += before;
                        before = zero;
                        turned = zero;
                    }
                }
                weights[index] = before;
                momentum[index] = turned;
            }
            sync_cube();
        }
    }

    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        if key < key_width && value < value_width {
            let here = stream * 3 * size + key * value_width + value;
            first[here] = weights[index];
            first[here + size] = momentum[index];
            first[here + 2 * size] = start[index];
        }
    }
}
