//! The memory from chunk to chunk, and what every token finds wrong in it.

use crate::matrix_memory::kernel::gpu::columns::{PARTIAL, ROWS, SLICES, UNITS, add_found, found, lay_down};
use crate::matrix_memory::kernel::gpu::tile::{
    CHUNK, Place, WIDTH, at, factor_of, fade, load_chunk, value_row,
};
use cubecl::prelude::*;

/// Forward: the difference of every value from what the memory holds under its key, the memory before every chunk
/// and after the last. With `k` the keys, `L` their overlaps inside the chunk and `u = β ⊙ r` what is written,
///
/// ```text
/// r_i = v_i − Sᵀ (k_i ⊙ through_i) − Σ_{j<i} L_ij u_j          S' = diag(factors) S + (k ⊙ after)ᵀ u
/// ```
///
/// In reverse: the gradient of everything written, that of the memory after every chunk and before the first. With
/// `w` and `X` what [`upstream`](crate::matrix_memory::kernel::gpu::launch::upstream) has found, and `dr = β ⊙ du`,
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

    let mut key_tile = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    let mut whole = Shared::<[F]>::new_slice(WIDTH);
    let mut overlap = Shared::<[F]>::new_slice(CHUNK * CHUNK);
    let mut partial = Shared::<[F]>::new_slice(PARTIAL);
    let mut betas = Shared::<[F]>::new_slice(CHUNK * WIDTH);
    // The right-hand sides, and then what is written.
    let mut written = Shared::<[F]>::new_slice(CHUNK * WIDTH);

    let mut memory = Array::<F>::new(comptime!(tiles * ROWS));
    begin::<F>(&mut memory, factors, last, stream, slice, value, tiles, reverse, channels);

    for step in 0..chunks {
        let mut chunk = step;
        if comptime!(reverse) {
            chunk = chunks - 1 - step;
        }
        let square = stream * chunks + chunk;
        let place = Place { batch: stream / heads, head: stream % heads, heads, from: chunk * CHUNK };

        let mut index = unit;
        while index < CHUNK * CHUNK {
            overlap[index] = overlaps[square * CHUNK * CHUNK + index];
            index += UNITS;
        }
        find::<F>(
            &mut partial,
            &mut key_tile,
            &mut whole,
            &memory,
            keys,
            factors,
            &place,
            key_width,
            tiles,
            reverse,
            channels,
        );
        collect::<F>(
            &mut written,
            &mut betas,
            &partial,
            beta,
            differences,
            &place,
            value,
            value_width,
            reverse,
        );
        sync_cube();
        if unit < WIDTH {
            solve::<F>(&mut written, differences, &betas, &overlap, &place, value, value_width, reverse);
        }
        sync_cube();

        for tile in 0..tiles {
            let from = tile * WIDTH;
            let mut own = Array::<F>::new(ROWS);
            let mut upstream = Array::<F>::new(ROWS);
            #[unroll]
            for r in 0..ROWS {
                own[r] = memory[tile * ROWS + r];
                upstream[r] = F::new(0.0_f32);
                let key = from + slice + r * SLICES;
                if key < key_width && value < value_width {
                    let here = square * size + key * value_width + value;
                    if comptime!(reverse) {
                        upstream[r] = memories[here];
                    }
                    memories[here] = own[r];
                }
            }
            let one = F::new(1.0_f32);
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
            update::<F>(&mut own, &upstream, &key_tile, &whole, &written, slice, column, reverse);
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

/// Loads a unit's part of the memory, or gradient, that the program begins with.
#[cube]
fn begin<F: Float>(
    memory: &mut Array<F>,
    factors: &Tensor<F>,
    last: &mut Tensor<F>,
    stream: usize,
    slice: usize,
    value: usize,
    #[comptime] tiles: usize,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
) {
    let heads = last.shape(1);
    let key_width = last.shape(2);
    let value_width = last.shape(3);
    let zero = F::new(0.0_f32);
    for index in 0..comptime!(tiles * ROWS) {
        let key = slice + index * SLICES;
        memory[index] = zero;
        if key < key_width && value < value_width {
            memory[index] = last[(stream * key_width + key) * value_width + value];
            if comptime!(!reverse) {
                // A product would not clear a memory that is infinite.
                let begin = Place { batch: stream / heads, head: stream % heads, heads, from: 0usize };
                if factor_of::<F>(factors, &begin, 0usize, key, channels) == zero {
                    memory[index] = zero;
                }
            }
        }
    }
}

/// The reads of the keys, in `SLICES / 2` partial sums for every token and column.
#[cube]
fn find<F: Float>(
    partial: &mut Shared<[F]>,
    key_tile: &mut Shared<[F]>,
    whole: &mut Shared<[F]>,
    memory: &Array<F>,
    keys: &Tensor<F>,
    factors: &Tensor<F>,
    place: &Place,
    key_width: usize,
    #[comptime] tiles: usize,
    #[comptime] reverse: bool,
    #[comptime] channels: bool,
) {
    // Every unit sums over its own rows.
    let mut sums = Array::<F>::new(CHUNK);
    #[unroll]
    for i in 0..CHUNK {
        sums[i] = F::new(0.0_f32);
    }
    for tile in 0..tiles {
        let from = tile * WIDTH;
        load_chunk::<F>(key_tile, keys, place, from, F::new(1.0_f32), WIDTH, WIDTH, UNITS);
        sync_cube();
        // A read has faded through its token; a write fades from after its token on.
        fade::<F>(key_tile, whole, factors, place, from, key_width, WIDTH, reverse, channels);
        sync_cube();
        add_found::<F>(&mut sums, &*key_tile, memory, tile);
        sync_cube();
    }
    lay_down::<F>(partial, &sums);
}

/// The right-hand sides of the chunk's equations, and its betas.
#[cube]
fn collect<F: Float>(
    written: &mut Shared<[F]>,
    betas: &mut Shared<[F]>,
    partial: &Shared<[F]>,
    beta: &Tensor<F>,
    differences: &mut Tensor<F>,
    place: &Place,
    value: usize,
    value_width: usize,
    #[comptime] reverse: bool,
) {
    let slice = UNIT_POS as usize / WIDTH;
    let column = UNIT_POS as usize % WIDTH;
    let time = differences.shape(1);
    #[unroll]
    for r in 0..CHUNK / SLICES {
        let i = slice + r * SLICES;
        let token = place.from + i;
        let found = found::<F>(partial, i, column);
        let mut number = F::new(0.0_f32);
        let mut own_beta = F::new(0.0_f32);
        if token < time && value < value_width {
            number = differences[value_row(place, time, token) * value_width + value];
            own_beta = beta[at::<F>(beta, place, token, value % beta.shape(3))];
        }
        if comptime!(reverse) {
            number += found;
        } else {
            number -= found;
        }
        betas[i * WIDTH + column] = own_beta;
        written[i * WIDTH + column] = number;
    }
}

/// Solves the triangle of equations of a unit's column: as soon as a token is known, all that see it subtract it.
#[cube]
fn solve<F: Float>(
    written: &mut Shared<[F]>,
    differences: &mut Tensor<F>,
    betas: &Shared<[F]>,
    overlap: &Shared<[F]>,
    place: &Place,
    value: usize,
    value_width: usize,
    #[comptime] reverse: bool,
) {
    let column = UNIT_POS as usize % WIDTH;
    let time = differences.shape(1);
    let mut own = Array::<F>::new(CHUNK);
    #[unroll]
    for i in 0..CHUNK {
        own[i] = written[i * WIDTH + column];
    }
    #[unroll]
    for step in 0..CHUNK {
        let i = comptime!(if reverse { CHUNK - 1 - step } else { step });
        let scaled = betas[i * WIDTH + column] * own[i];
        #[unroll]
        for other in 0..CHUNK {
            if comptime!(reverse && other < i) {
                own[other] -= overlap[i * CHUNK + other] * scaled;
            }
            if comptime!(!reverse && other > i) {
                own[other] -= overlap[other * CHUNK + i] * scaled;
            }
        }
        written[i * WIDTH + column] = scaled;
        if place.from + i < time && value < value_width {
            differences[value_row(place, time, place.from + i) * value_width + value] = own[i];
        }
    }
}

/// Turns a unit's rows of a tile of the memory before the chunk into those after it.
#[cube]
fn update<F: Float>(
    own: &mut Array<F>,
    upstream: &Array<F>,
    key_tile: &Shared<[F]>,
    whole: &Shared<[F]>,
    written: &Shared<[F]>,
    slice: usize,
    column: usize,
    #[comptime] reverse: bool,
) {
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
}
