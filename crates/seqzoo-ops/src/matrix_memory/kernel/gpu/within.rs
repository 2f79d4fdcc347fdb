//! The gradients inside the chunks.

use super::tile::{CHUNK, Place, at, factor_of, value_row};
use cubecl::prelude::*;

/// Units per cube: one per key channel.
pub(super) const UNITS: usize = 64;

/// Adds what passes inside the chunk to the gradients of queries and keys, which hold what passes
/// through the memory; and gathers the gradient of the log decays, which holds the overlap of the
/// memories. Queries and keys may have fewer heads than their gradients here, which are summed later. One cube per
/// chunk and block of channels; one unit per channel.
///
/// For every channel, with `G` the gradient of the products and `P_ij` what the tokens `j+1 ..= i` keep,
///
/// ```text
/// dq_i += Σ_{j <= i} G_ij P_ij k_j          dk_j += Σ_{i >= j} G_ij P_ij q_i
/// dg_t  = Σ_{i >= t} q_i memory_i + Σ_{j < t} k_j memory_j + Σ_{j < t <= i} q_i G_ij P_ij k_j
///         + factors(chunk) · overlap
/// ```
///
/// with `memory` for the gradients through the memory. Every term of the last line that a decay
/// multiplies is there and no other, so nothing is subtracted: a decay of `e^-30` has a gradient with
/// as many digits as any other, and a reset has exactly none.
///
/// With `before`, this runs the second reader (keys, which read before their token writes): the diagonal is excluded (`j < i` in
/// the first two lines), and the results are added to the existing gradients of keys and decays.
#[cube(launch)]
pub(super) fn within<F: Float>(
    query: &Tensor<F>,
    key: &Tensor<F>,
    factors: &Tensor<F>,
    products_gradient: &Tensor<F>,
    query_gradient: &mut Tensor<F>,
    key_gradient: &mut Tensor<F>,
    decay_gradient: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] before: bool,
    #[comptime] decays: bool,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let time = query.shape(1);
    let heads = products_gradient.shape(1);
    let width = query.shape(3);
    let chunks = products_gradient.shape(2);
    let blocks = width.div_ceil(UNITS);
    let square = CUBE_POS / blocks; // the chunk, among those of all sequences and heads
    let stream = square / chunks;
    if stream >= query.shape(0) * heads {
        terminate!();
    }
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % chunks) * CHUNK };

    let mut gradient = Shared::<[F]>::new_slice(CHUNK * CHUNK);
    let mut index = UNIT_POS as usize;
    while index < CHUNK * CHUNK {
        gradient[index] = products_gradient[square * CHUNK * CHUNK + index];
        if comptime!(before) {
            if index / CHUNK == index % CHUNK {
                gradient[index] = F::new(0.0_f32);
            }
        }
        index += UNITS;
    }
    sync_cube();

    let channel = (CUBE_POS % blocks) * UNITS + UNIT_POS as usize;
    if channel < width {
        let scale = scale.get::<F>();
        let mut q = Array::<F>::new(CHUNK);
        let mut dq = Array::<F>::new(CHUNK);
        let mut keeps = Array::<F>::new(CHUNK);
        // The part of token i's output from tokens before the one that the loop below has reached.
        let mut reads = Array::<F>::new(CHUNK);
        let mut handed_on = F::new(0.0_f32);
        if comptime!(decays && !before) {
            handed_on = decay_gradient[value_row(&place, time, place.from) * width + channel];
        }
        #[unroll]
        for i in 0..CHUNK {
            let token = place.from + i;
            q[i] = F::new(0.0_f32);
            dq[i] = F::new(0.0_f32);
            keeps[i] = factor_of::<F>(factors, &place, token, channel, channels);
            handed_on *= keeps[i];
            if token < time {
                q[i] = scale * query[at::<F>(query, &place, token, channel)];
                dq[i] = query_gradient[value_row(&place, time, token) * width + channel];
            }
            reads[i] = q[i] * dq[i];
        }

        for j in 0..CHUNK {
            let token = place.from + j;
            if token < time {
                let here = value_row(&place, time, token) * width + channel;
                let k = key[at::<F>(key, &place, token, channel)];
                let mut dk = F::new(0.0_f32);
                if comptime!(!before) {
                    dk = key_gradient[here];
                }
                let mut passes = handed_on;
                handed_on += k * dk;
                let mut between = F::new(1.0_f32);
                #[unroll]
                for i in 0..CHUNK {
                    if i >= j {
                        if i > j {
                            between *= keeps[i];
                        }
                        let factor = gradient[i * CHUNK + j] * between;
                        dk += factor * q[i];
                        dq[i] += factor * k;
                        if comptime!(decays) {
                            passes += reads[i];
                            reads[i] += factor * k * q[i];
                        }
                    }
                }
                if comptime!(before) {
                    dk += key_gradient[here];
                }
                key_gradient[here] = dk;
                if comptime!(decays) {
                    if comptime!(before) {
                        passes += decay_gradient[here];
                    }
                    decay_gradient[here] = passes;
                }
            }
        }

        #[unroll]
        for i in 0..CHUNK {
            let token = place.from + i;
            if token < time {
                let here = value_row(&place, time, token) * width + channel;
                query_gradient[here] = scale * dq[i];
            }
        }
    }
}
