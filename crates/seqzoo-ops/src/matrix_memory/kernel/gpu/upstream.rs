//! The gradients that the outputs of a chunk give to its writes and to the memory before it.

use super::columns::{SLICES, UNITS};
use super::tile::{CHUNK, Place, WIDTH, fade, load_chunk, value_row};
use cubecl::prelude::*;

/// From the gradients `do` of the outputs, `Aᵀ do` `[b, t, h, v]`, the part of the gradients of what is written that
/// stays inside the chunk, and `(scale · q ⊙ through)ᵀ do` `[b, h, n, k, v]`, the part of the gradient of the memory
/// before the chunk that its queries have read.
///
/// One cube per chunk and `WIDTH` columns.
#[cube(launch)]
pub(super) fn upstream<F: Float>(
    query: &Tensor<F>,
    output: &Tensor<F>,
    factors: &Tensor<F>,
    products: &Tensor<F>,
    of_written: &mut Tensor<F>,
    of_memories: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let heads = of_memories.shape(1);
    let chunks = of_memories.shape(2);
    let key_width = of_memories.shape(3);
    let value_width = of_memories.shape(4);
    let blocks = value_width.div_ceil(WIDTH);
    let square = CUBE_POS / blocks; // the chunk, among those of all sequences and heads
    let stream = square / chunks;
    if stream >= of_memories.shape(0) * heads {
        terminate!();
    }
    let from_value = (CUBE_POS % blocks) * WIDTH;
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % chunks) * CHUNK };

    let unit = UNIT_POS as usize;
    let slice = unit / WIDTH;
    let column = unit % WIDTH;
    let value = from_value + column;

    let mut query_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut output_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut product = Shared::<[F]>::new_slice(CHUNK * CHUNK);
    let mut whole = Shared::<[F]>::new_slice(WIDTH);

    let one = F::new(1.0_f32);
    load_chunk::<F>(&mut output_tile, output, &place, from_value, one, WIDTH, WIDTH, UNITS);
    let mut index = unit;
    while index < CHUNK * CHUNK {
        product[index] = products[square * CHUNK * CHUNK + index];
        index += UNITS;
    }
    sync_cube();
    #[unroll]
    for r in 0..CHUNK / SLICES {
        let j = slice + r * SLICES;
        let token = place.from + j;
        let mut sum = F::new(0.0_f32);
        for i in 0..CHUNK {
            sum += product[i * CHUNK + j] * output_tile[i * WIDTH + column];
        }
        if token < of_written.shape(1) && value < value_width {
            let row = value_row(&place, of_written.shape(1), token);
            of_written[row * value_width + value] = sum;
        }
    }

    let mut from = 0usize;
    while from < key_width {
        load_chunk::<F>(&mut query_tile, query, &place, from, scale.get::<F>(), WIDTH, WIDTH, UNITS);
        sync_cube();
        fade::<F>(&mut query_tile, &mut whole, factors, &place, from, key_width, WIDTH, false, channels);
        sync_cube();
        #[unroll]
        for r in 0..WIDTH / SLICES {
            let row = slice + r * SLICES;
            let mut sum = F::new(0.0_f32);
            for i in 0..CHUNK {
                sum += query_tile[i * WIDTH + row] * output_tile[i * WIDTH + column];
            }
            if from + row < key_width && value < value_width {
                of_memories[(square * key_width + from + row) * value_width + value] = sum;
            }
        }
        sync_cube();
        from += WIDTH;
    }
}
