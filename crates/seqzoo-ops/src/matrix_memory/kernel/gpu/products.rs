//! The products inside the chunks.

use super::tile::{CHUNK, Place, WIDTH, factor_of, load_chunk};
use cubecl::prelude::*;

/// Channels are dealt to so many units, whose sums are added up in the end.
const SLICES: usize = 8;

/// Units per cube: one per column of the square and slice of the channels.
pub(super) const UNITS: usize = CHUNK * SLICES;

/// One more than the width, so that neighbouring rows lie in different banks.
const STRIDE: usize = WIDTH + 1;

/// `P_ij = scale · Σ_c left_i[c] right_j[c] factors(j+1 ..= i)[c]` for `j <= i` and 0 above the diagonal:
/// `[b, h, n, CHUNK, CHUNK]`. Without `fades` the decays are left out. One cube per chunk.
///
/// A unit goes down its column and multiplies the decays as it passes them, so that no exponent is
/// ever a difference.
#[cube(launch)]
pub(super) fn products<F: Float>(
    left: &Tensor<F>,
    right: &Tensor<F>,
    factors: &Tensor<F>,
    out: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] fades: bool,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let heads = out.shape(1);
    let chunks = out.shape(2);
    let width = left.shape(3);
    let stream = CUBE_POS / chunks;
    if stream >= out.shape(0) * heads {
        terminate!();
    }
    let place =
        Place { batch: stream / heads, head: stream % heads, heads, from: (CUBE_POS % chunks) * CHUNK };

    let mut left_tile = Shared::<[F]>::new_slice(CHUNK * STRIDE);
    let mut right_tile = Shared::<[F]>::new_slice(CHUNK * STRIDE);
    let mut factor_tile = Shared::<[F]>::new_slice(CHUNK * STRIDE);
    let mut partial = Shared::<[F]>::new_slice(CHUNK * CHUNK * SLICES);

    let unit = UNIT_POS as usize;
    let slice = unit % SLICES;
    let j = unit / SLICES;
    let one = F::new(1.0_f32);
    let mut sums = Array::<F>::new(CHUNK);
    #[unroll]
    for i in 0..CHUNK {
        sums[i] = F::new(0.0_f32);
    }

    let mut from = 0usize;
    while from < width {
        load_chunk::<F>(&mut left_tile, left, &place, from, scale.get::<F>(), WIDTH, STRIDE, UNITS);
        load_chunk::<F>(&mut right_tile, right, &place, from, one, WIDTH, STRIDE, UNITS);
        if comptime!(fades) {
            let mut index = unit;
            while index < CHUNK * WIDTH {
                let channel = from + index % WIDTH;
                let mut factor = F::new(1.0_f32);
                if channel < width {
                    factor = factor_of::<F>(factors, &place, place.from + index / WIDTH, channel, channels);
                }
                factor_tile[(index / WIDTH) * STRIDE + index % WIDTH] = factor;
                index += UNITS;
            }
        }
        sync_cube();
        let mut channel = slice;
        while channel < WIDTH {
            let mut passed = right_tile[j * STRIDE + channel];
            #[unroll]
            for i in 0..CHUNK {
                if i >= j {
                    if comptime!(fades) {
                        if i > j {
                            passed *= factor_tile[i * STRIDE + channel];
                        }
                    }
                    sums[i] += left_tile[i * STRIDE + channel] * passed;
                }
            }
            channel += SLICES;
        }
        sync_cube();
        from += WIDTH;
    }

    #[unroll]
    for i in 0..CHUNK {
        partial[(i * CHUNK + j) * SLICES + slice] = sums[i];
    }
    sync_cube();
    let mut index = unit;
    while index < CHUNK * CHUNK {
        let mut sum = F::new(0.0_f32);
        #[unroll]
        for part in 0..SLICES {
            sum += partial[index * SLICES + part];
        }
        out[CUBE_POS * CHUNK * CHUNK + index] = sum;
        index += UNITS;
    }
}
