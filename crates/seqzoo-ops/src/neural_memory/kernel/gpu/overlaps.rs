//! How much of what a block hands on matters.

use super::super::blocks::SLOTS;
use super::edges::{EDGES, WHOLE};
use cubecl::prelude::*;

pub(super) const UNITS: usize = 256;

/// From weights and momentum before every block and the gradients of those after it, both `[b, h, n, 2k, v]`, the
/// gradients of what the whole block does to them: `⟨W, dW⟩`, `⟨S, dW⟩` and `⟨S, dS⟩`. One cube per block.
#[cube(launch)]
pub(super) fn overlaps<F: Float>(
    states: &Tensor<F>,
    gradients: &Tensor<F>,
    of_edges: &mut Tensor<F>,
    #[define(F)] _dtype: ElemType,
) {
    let blocks = states.shape(2);
    let size = states.shape(3) / 2 * states.shape(4);
    let square = CUBE_POS;
    if square >= states.shape(0) * states.shape(1) * blocks {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let zero = F::new(0.0_f32);
    let mut weights = zero;
    let mut added = zero;
    let mut left = zero;
    let mut index = unit;
    while index < size {
        let here = square * 2 * size + index;
        weights += states[here] * gradients[here];
        added += states[here + size] * gradients[here];
        left += states[here + size] * gradients[here + size];
        index += UNITS;
    }
    let mut sums = Shared::<[F]>::new_slice(3 * UNITS);
    sums[unit] = weights;
    sums[UNITS + unit] = added;
    sums[2 * UNITS + unit] = left;
    sync_cube();
    if unit < 3 {
        let mut sum = zero;
        for other in 0..UNITS {
            sum += sums[unit * UNITS + other];
        }
        // In the order of `WEIGHTS_LEFT`, `MOMENTUM_ADDED` and `MOMENTUM_LEFT`.
        of_edges[(square * EDGES + WHOLE) * SLOTS + unit] = sum;
    }
}
