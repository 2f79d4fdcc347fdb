//! A memory of which a cube holds some columns and all rows, its units each a column and some of the rows.

use super::tile::{CHUNK, WIDTH};
use cubecl::prelude::*;

/// Units per cube: each has one column and every `SLICES`-th row.
pub(crate) const UNITS: usize = 256;
pub(crate) const SLICES: usize = UNITS / WIDTH;

/// Rows that a unit has in a tile of `WIDTH`.
pub(crate) const ROWS: usize = WIDTH / SLICES;

/// Where the units lay down what they have found: half of them at a time, for all at once would not fit.
pub(crate) const PARTIAL: usize = CHUNK * UNITS / 2;

/// Adds to the sums of a unit what the keys of a chunk, `key_tile` `[CHUNK, WIDTH]`, find in its rows of tile `tile`.
#[cube]
pub(crate) fn add_found<F: Float>(
    sums: &mut Array<F>,
    key_tile: &Shared<[F]>,
    memory: &Array<F>,
    tile: usize,
) {
    let slice = UNIT_POS as usize / WIDTH;
    #[unroll]
    for r in 0..ROWS {
        let number = memory[tile * ROWS + r];
        #[unroll]
        for i in 0..CHUNK {
            sums[i] += key_tile[i * WIDTH + slice + r * SLICES] * number;
        }
    }
}

/// Lays down the sums of all units, for [`found`] to collect.
#[cube]
pub(crate) fn lay_down<F: Float>(partial: &mut Shared<[F]>, sums: &Array<F>) {
    let slice = UNIT_POS as usize / WIDTH;
    let column = UNIT_POS as usize % WIDTH;
    #[unroll]
    for i in 0..CHUNK {
        if slice >= SLICES / 2 {
            partial[(i * (SLICES / 2) + slice - SLICES / 2) * WIDTH + column] = sums[i];
        }
    }
    sync_cube();
    #[unroll]
    for i in 0..CHUNK {
        if slice < SLICES / 2 {
            partial[(i * (SLICES / 2) + slice) * WIDTH + column] += sums[i];
        }
    }
    sync_cube();
}

/// What token `i` has found in all rows of `column`.
#[cube]
pub(crate) fn found<F: Float>(partial: &Shared<[F]>, i: usize, column: usize) -> F {
    let mut found = F::new(0.0_f32);
    #[unroll]
    for part in 0..SLICES / 2 {
        found += partial[(i * (SLICES / 2) + part) * WIDTH + column];
    }
    found
}
