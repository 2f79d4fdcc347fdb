//! The readers of weights and momentum.

use super::super::blocks::SLOTS;
use super::edges::{EDGES, MOMENTUM, WEIGHTS};
use cubecl::prelude::*;

/// `[a ⊙ q, m ⊙ q]` `[b, s, h, 2k]`: every query as it reads the weights, and as it reads the momentum before its block.
/// One unit per number.
#[cube(launch)]
pub(super) fn stretch<F: Float>(
    query: &Tensor<F>,
    edges: &Tensor<F>,
    out: &mut Tensor<F>,
    #[define(F)] _dtype: ElemType,
) {
    let index = ABSOLUTE_POS;
    if index >= out.len() {
        terminate!();
    }
    let width = query.shape(3);
    let heads = query.shape(2);
    let time = query.shape(1);
    let channel = index % (2 * width);
    let row = index / (2 * width); // of all slots and heads
    let stream = row / heads / time * heads + row % heads;
    let slot = row / heads % time;
    let here = (stream * (time / SLOTS) + slot / SLOTS) * EDGES * SLOTS + slot % SLOTS;
    let mut factor = edges[here + WEIGHTS * SLOTS];
    if channel >= width {
        factor = edges[here + MOMENTUM * SLOTS];
    }
    out[index] = factor * query[row * width + channel % width];
}
