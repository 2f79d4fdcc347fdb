//! The way back from weights and momentum together to queries and keys.

use super::super::blocks::SLOTS;
use super::edges::EDGES;
use crate::matrix_memory::kernel::gpu::tile::{Place, value_row};
use cubecl::prelude::*;

/// Units per cube: `LANES` for every slot.
pub(super) const UNITS: usize = 256;
const LANES: usize = UNITS / SLOTS;

/// From what queries, or keys, `x` `[b, s, h, k]` have to do with weights and momentum, `wide = [y, z]` `[b, s, h, 2k]`:
/// their gradients, and those of the two factors that stand in `row` and the row after it.
///
/// ```text
/// out = f ⊙ y + g ⊙ z        df = Σ x y        dg = Σ x z
/// ```
///
/// One cube per block.
#[cube(launch)]
pub(super) fn fold<F: Float>(
    x: &Tensor<F>,
    wide: &Tensor<F>,
    edges: &Tensor<F>,
    out: &mut Tensor<F>,
    of_edges: &mut Tensor<F>,
    #[comptime] row: usize,
    #[define(F)] _dtype: ElemType,
) {
    let width = x.shape(3);
    let heads = x.shape(2);
    let time = x.shape(1);
    let blocks = edges.shape(2);
    let square = CUBE_POS;
    let stream = square / blocks;
    if stream >= x.shape(0) * heads {
        terminate!();
    }
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % blocks) * SLOTS };
    let slot = UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let here = (square * EDGES + row) * SLOTS + slot;
    let first = edges[here];
    let second = edges[here + SLOTS];
    let token = value_row(&place, time, place.from + slot);

    let mut of_first = F::new(0.0_f32);
    let mut of_second = F::new(0.0_f32);
    let mut channel = lane;
    while channel < width {
        let number = x[token * width + channel];
        let y = wide[token * 2 * width + channel];
        let z = wide[token * 2 * width + width + channel];
        out[token * width + channel] = first * y + second * z;
        of_first += number * y;
        of_second += number * z;
        channel += LANES;
    }
    let mut firsts = Shared::<[F]>::new_slice(UNITS);
    let mut seconds = Shared::<[F]>::new_slice(UNITS);
    firsts[slot * LANES + lane] = of_first;
    seconds[slot * LANES + lane] = of_second;
    sync_cube();
    if lane == 0 {
        of_first = F::new(0.0_f32);
        of_second = F::new(0.0_f32);
        for other in 0..LANES {
            of_first += firsts[slot * LANES + other];
            of_second += seconds[slot * LANES + other];
        }
        of_edges[here] = of_first;
        of_edges[here + SLOTS] = of_second;
    }
}
