//! The memory from chunk to chunk, and what every token finds wrong in it.

use crate::matrix_memory::gpu::tile::{CHUNK, Place, WIDTH, at, factor_of, fade, load_chunk, row};
use cubecl::prelude::*;

/// Units per cube: each has one column of the memory and every `SLICES`-th of its rows.
pub(super) const UNITS: usize = 256;
const SLICES: usize = UNITS / WIDTH;

/// Output that a unit has in a tile of `WIDTH`.
const ROWS: usize = WIDTH / SLICES;

/// Forward: the difference of every value from what the memory holds under its key, the memory before every chunk
/// and behind the last. With `k` the keys, `L` their overlaps inside the chunk and `u = β ⊙ r` what is written,
///
/// ```text
/// r_i = v_i − Sᵀ (k_i ⊙ through_i) − Σ_{j<i} L_ij u_j          S' = diag(factors) S + (k ⊙ after)ᵀ u
/// ```
///
/// In reverse: the gradient of everything written, that of the memory behind every chunk and before the first. With
/// `w` and `X` what [`upstream`](super::upstream::upstream) has found, and `dr = β ⊙ du`,
///
/// ```text
/// du_i = w_i + Dᵀ (k_i ⊙ after_i) − Σ_{m>i} L_mi dr_m           D' = diag(factors) D + X − (k ⊙ through)ᵀ dr
/// ```
///
/// Three tensors are overwritten, for seven is all there may be: `differences` `[b, t, h, v]` holds the values, or `w`,
/// and receives `r`, or `du`; `memories` `[b, h, n, k, v]` holds nothing, or `X`; `last` `[b, h, k, v]` holds the
/// memory, or gradient, that the program begins with, and receives the one that it ends with.
///
/// One cube per sequence, head and `WIDTH` columns of the memory, whose rows, at most `tiles` times `WIDTH`, its units
/// hold among them. Columns never meet, so each is solved by itself and may have a `β` of its own. The loops over
/// tiles are the compiler's to unroll: forced, they make a program of eight tiles take a minute to build.
#[cube(launch)]
pub(super) fn carry<F: Float>(
    keys: &Tensor<F>,
    beta: &Tensor<F>,
    factors: &Tensor<F>,
    overlaps: &Tensor<F>,
    differences: &mut Tensor<F>,
    memories: &mut Tensor<F>,
    last: &mut Tensor<F>,
    #[comptime] tiles: usize,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let heads = last.shape(1);
    let key_width = last.shape(2);
    let value_width = last.shape(3);
    let time = keys.shape(1);
    let chunks = memories.shape(2);
    let blocks = value_width.div_ceil(WIDTH);
    let stream = CUBE_POS / blocks;
    if stream >= last.shape(0) * heads {
        terminate!();
    }

    let unit = UNIT_POS as usize;
    let slice = unit / WIDTH;
    let column = unit % WIDTH;
    let value = (CUBE_POS % blocks) * WIDTH + column;
    let size = key_width * value_width;
    let zero = F::new(0.0_f32);
    let one = F::new(1.0_f32);

    let mut key_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut whole = Shared::<[F]>::new_slice(WIDTH);
    let mut overlap = Shared::<[F]>::new_slice(CHUNK * CHUNK);
    let mut partial = Shared::<[F]>::new_slice(CHUNK * UNITS / 2);
    let mut strengths = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    // What is still to be solved, and then what is written.
    let mut written = Shared::<[F]>::new_slice(CHUNK * WIDTH);

    let mut memory = Array::<F>::new(comptime!(tiles * ROWS));
    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        memory[index] = zero;
        if key < key_width && value < value_width {
            memory[index] = last[stream * size + key * value_width + value];
            if comptime!(!reverse) {
                // A product would not clear a memory that is infinite.
                let begin = Place { batch: stream / heads, head: stream % heads, from: 0usize };
                if factor_of::<F>(factors, &begin, 0usize, key, channels) == zero {
                    memory[index] = zero;
                }
            }
        }
    }

    for step in 0..chunks {
        let mut chunk = step;
        if comptime!(reverse) {
            chunk = chunks - 1 - step;
        }
        let square = stream * chunks + chunk;
        let place = Place { batch: stream / heads, head: stream % heads, from: chunk * CHUNK };

        let mut index = unit;
        while index < CHUNK * CHUNK {
            overlap[index] = overlaps[square * CHUNK * CHUNK + index];
            index += UNITS;
        }

        // What the keys find in the memory: every unit sums over its own rows.
        let mut sums = Array::<F>::new(CHUNK);
        #[unroll]
        for i in 0..CHUNK {
            sums[i] = zero;
        }
        for tile in 0..tiles {
            let from = tile * WIDTH;
            load_chunk::<F>(&mut key_tile, keys, &place, from, one, WIDTH, WIDTH, UNITS);
            sync_cube();
            // What is read at a token has faded through it; what is written behind it fades after it.
            fade::<F>(&mut key_tile, &mut whole, factors, &place, from, key_width, WIDTH, reverse, channels);
            sync_cube();
            #[unroll]
            for r in 0..ROWS {
                let number = memory[tile * ROWS + r];
                #[unroll]
                for i in 0..CHUNK {
                    sums[i] += key_tile[i * WIDTH + slice + r * SLICES] * number;
                }
            }
            sync_cube();
        }

        // The sums of two units meet, and then those of all of a column: all at once would not fit.
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
        #[unroll]
        for r in 0..CHUNK / SLICES {
            let i = slice + r * SLICES;
            let token = place.from + i;
            let mut found = zero;
            #[unroll]
            for part in 0..SLICES / 2 {
                found += partial[(i * (SLICES / 2) + part) * WIDTH + column];
            }
            let mut number = zero;
            let mut strength = zero;
            if token < time && value < value_width {
                number = differences[row::<F>(keys, &place, token) * value_width + value];
                strength = beta[at::<F>(beta, &place, token, value % beta.shape(3))];
            }
            if comptime!(reverse) {
                number += found;
            } else {
                number -= found;
            }
            strengths[i * WIDTH + column] = strength;
            written[i * WIDTH + column] = number;
        }
        sync_cube();

        // A triangle of equations per column: as soon as a token is known, all that see it subtract it.
        if unit < WIDTH {
            let mut own = Array::<F>::new(CHUNK);
            #[unroll]
            for i in 0..CHUNK {
                own[i] = written[i * WIDTH + column];
            }
            #[unroll]
            for step in 0..CHUNK {
                let i = comptime!(if reverse { CHUNK - 1 - step } else { step });
                let strong = strengths[i * WIDTH + column] * own[i];
                #[unroll]
                for other in 0..CHUNK {
                    if comptime!(reverse && other < i) {
                        own[other] -= overlap[i * CHUNK + other] * strong;
                    }
                    if comptime!(!reverse && other > i) {
                        own[other] -= overlap[other * CHUNK + i] * strong;
                    }
                }
                written[i * WIDTH + column] = strong;
                if place.from + i < time && value < value_width {
                    let here = row::<F>(keys, &place, place.from + i) * value_width + value;
                    differences[here] = own[i];
                }
            }
        }
        sync_cube();

        for tile in 0..tiles {
            let from = tile * WIDTH;
            let mut own = Array::<F>::new(ROWS);
            let mut upstream = Array::<F>::new(ROWS);
            #[unroll]
            for r in 0..ROWS {
                own[r] = memory[tile * ROWS + r];
                upstream[r] = zero;
                let key = from + slice + r * SLICES;
                if key < key_width && value < value_width {
                    let here = square * size + key * value_width + value;
                    if comptime!(reverse) {
                        upstream[r] = memories[here];
                    }
                    memories[here] = own[r];
                }
            }
            load_chunk::<F>(&mut key_tile, keys, &place, from, one, WIDTH, WIDTH, UNITS);
            sync_cube();
            fade::<F>(
                &mut key_tile,
                &mut whole,
                factors,
                &place,
                from,
                key_width,
                WIDTH,
                comptime!(!reverse),
                channels,
            );
            sync_cube();
            #[unroll]
            for r in 0..ROWS {
                own[r] = whole[slice + r * SLICES] * own[r] + upstream[r];
            }
            for i in 0..CHUNK {
                let number = written[i * WIDTH + column];
                #[unroll]
                for r in 0..ROWS {
                    let change = key_tile[i * WIDTH + slice + r * SLICES] * number;
                    if comptime!(reverse) {
                        own[r] -= change;
                    } else {
                        own[r] += change;
                    }
                }
            }
            #[unroll]
            for r in 0..ROWS {
                memory[tile * ROWS + r] = own[r];
            }
            sync_cube();
        }
    }

    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        if key < key_width && value < value_width {
            last[stream * size + key * value_width + value] = memory[index];
        }
    }
}
