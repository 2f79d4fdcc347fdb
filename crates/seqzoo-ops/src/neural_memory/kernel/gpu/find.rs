//! What keys find in a memory.

use crate::matrix_memory::kernel::gpu::columns::{UNITS, add_found, lay_down};
use crate::matrix_memory::kernel::gpu::tile::{CHUNK, Place, WIDTH, load_chunk};
use cubecl::prelude::*;

/// Lays down what the keys of a block find in `memory`, and waits for it.
#[cube]
pub(super) fn find<F: Float>(
    partial: &mut Shared<[F]>,
    key_tile: &mut Shared<[F]>,
    memory: &Array<F>,
    keys: &Tensor<F>,
    place: &Place,
    #[comptime] tiles: usize,
) {
    let mut sums = Array::<F>::new(CHUNK);
    #[unroll]
    for i in 0..CHUNK {
        sums[i] = F::new(0.0_f32);
    }
    for tile in 0..tiles {
        load_chunk::<F>(key_tile, keys, place, tile * WIDTH, F::new(1.0_f32), WIDTH, WIDTH, UNITS);
        sync_cube();
        add_found::<F>(&mut sums, &*key_tile, memory, tile);
        sync_cube();
    }
    lay_down::<F>(partial, &sums);
}
