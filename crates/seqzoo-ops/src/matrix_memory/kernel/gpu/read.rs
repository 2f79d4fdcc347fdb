//! Reading the memory and the chunk itself.

use super::tile::{CHUNK, Place, WIDTH, fade, load_chunk, load_memory, value_row};
use cubecl::prelude::*;

/// Units per cube: each has one column and `ROWS` rows of the output.
pub(super) const UNITS: usize = 256;

/// Columns of the output that a cube computes.
pub(super) const COLUMNS: usize = 64;

const ROWS: usize = CHUNK * COLUMNS / UNITS;

/// Forward: the outputs, `(scale · q ⊙ through) S + A v`, from the memory before the chunk.
///
/// In reverse: the gradients of the values, `(k ⊙ after) D + Aᵀ do`, from the gradient of the memory
/// after the chunk.
///
/// One cube per chunk and block of columns.
#[cube(launch)]
pub(super) fn read<F: Float>(
    keys: &Tensor<F>,
    values: &Tensor<F>,
    factors: &Tensor<F>,
    memories: &Tensor<F>,
    products: &Tensor<F>,
    out: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let heads = memories.shape(1);
    let chunks = memories.shape(2);
    let key_width = memories.shape(3);
    let value_width = memories.shape(4);
    let blocks = value_width.div_ceil(COLUMNS);
    let square = CUBE_POS / blocks; // the chunk, among those of all sequences and heads
    let stream = square / chunks;
    if stream >= memories.shape(0) * heads {
        terminate!();
    }
    let from_value = (CUBE_POS % blocks) * COLUMNS;
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % chunks) * CHUNK };

    let unit = UNIT_POS as usize;
    let first_row = unit / COLUMNS;
    let column = unit % COLUMNS;

    let mut left = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut right = Shared::<[F]>::new_slice(WIDTH * COLUMNS);
    let mut whole = Shared::<[F]>::new_slice(WIDTH);
    let mut sums = Array::<F>::new(ROWS);
    #[unroll]
    for r in 0..ROWS {
        sums[r] = F::new(0.0_f32);
    }

    let mut from = 0usize;
    while from < key_width {
        load_chunk::<F>(&mut left, keys, &place, from, scale.get::<F>(), WIDTH, WIDTH, UNITS);
        load_memory::<F>(
            &mut right,
            memories,
            square * key_width * value_width,
            key_width,
            value_width,
            from,
            from_value,
            COLUMNS,
            COLUMNS,
            UNITS,
        );
        sync_cube();
        fade::<F>(&mut left, &mut whole, factors, &place, from, key_width, WIDTH, reverse, channels);
        sync_cube();
        multiply::<F>(&left, &right, &mut sums, first_row, column, WIDTH);
        sync_cube();
        from += WIDTH;
    }

    let mut index = unit;
    while index < CHUNK * CHUNK {
        let (i, j) = (index / CHUNK, index % CHUNK);
        let number = products[square * CHUNK * CHUNK + index];
        if comptime!(reverse) {
            left[j * WIDTH + i] = number;
        } else {
            left[i * WIDTH + j] = number;
        }
        index += UNITS;
    }
    let one = F::new(1.0_f32);
    load_chunk::<F>(&mut right, values, &place, from_value, one, COLUMNS, COLUMNS, UNITS);
    sync_cube();
    multiply::<F>(&left, &right, &mut sums, first_row, column, CHUNK);

    #[unroll]
    for r in 0..ROWS {
        let token = place.from + first_row + r * (UNITS / COLUMNS);
        if token < out.shape(1) && from_value + column < value_width {
            let row = value_row(&place, out.shape(1), token);
            out[row * value_width + from_value + column] = sums[r];
        }
    }
}

/// Adds `left[CHUNK, depth] · right[depth, COLUMNS]` to a unit's sums.
#[cube]
fn multiply<F: Float>(
    left: &Shared<[F]>,
    right: &Shared<[F]>,
    sums: &mut Array<F>,
    first_row: usize,
    column: usize,
    #[comptime] depth: usize,
) {
    for c in 0..depth {
        let factor = right[c * COLUMNS + column];
        #[unroll]
        for r in 0..ROWS {
            sums[r] += left[(first_row + r * (UNITS / COLUMNS)) * WIDTH + c] * factor;
        }
    }
}
