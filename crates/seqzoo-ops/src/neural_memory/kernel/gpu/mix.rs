//! What the gates of a block come to.

use super::super::blocks::{SLOTS, mark};
use super::edges::{
    ADDED, EDGES, KIND, MOMENTUM, MOMENTUM_ADDED, MOMENTUM_LEFT, MOVED, ORIGIN, STEP, WEIGHTS, WEIGHTS_LEFT,
    WHOLE,
};
use crate::matrix_memory::kernel::gpu::tile::{Place, value_row};
use cubecl::prelude::*;

/// Units per cube: one for what every token writes, one for the momentum before the block and one for its weights.
pub(super) const UNITS: usize = 32;
pub(super) const OF_MOMENTUM: usize = SLOTS;
pub(super) const OF_WEIGHTS: usize = SLOTS + 1;

/// Fills `between` `[b, h, n, SLOTS, SLOTS]` and [`edges`](super::edges). One cube per block.
///
/// What token `s` has written is in the momentum with the factor `e` and in the weights with the factor `n`:
///
/// ```text
/// e_t = η_t e_{t-1}        n_t = (1 - α_t) n_{t-1} + e_t        e_s = n_s = 1
/// ```
///
/// The momentum before the block begins with `e = 1, n = 0`, the weights with `e = 0, n = 1`.
#[cube(launch)]
pub(super) fn mix<F: Float>(
    forget: &Tensor<F>,
    momentum: &Tensor<F>,
    step: &Tensor<F>,
    marks: &Tensor<F>,
    between: &mut Tensor<F>,
    edges: &mut Tensor<F>,
    #[define(F)] _dtype: ElemType,
) {
    let heads = forget.shape(2);
    let time = forget.shape(1);
    let blocks = marks.shape(1);
    let square = CUBE_POS;
    let stream = square / blocks;
    if stream >= marks.shape(0) * heads {
        terminate!();
    }
    let place = Place { batch: stream / heads, head: stream % heads, heads, from: (square % blocks) * SLOTS };
    let own = (place.batch * blocks + square % blocks) * mark::NUMBERS;
    let first = marks[own + mark::FIRST];
    let end = marks[own + mark::END];
    let here = square * EDGES * SLOTS;
    let (zero, one) = (F::new(0.0_f32), F::new(1.0_f32));

    let unit = UNIT_POS as usize;
    let mut e = zero;
    let mut n = zero;
    if unit == OF_MOMENTUM {
        e = one;
    }
    if unit == OF_WEIGHTS {
        n = one;
    }
    let mut own_step = zero;
    for t in 0..SLOTS {
        let slot = F::cast_from(t as u32);
        if slot >= first && slot < end {
            let row = value_row(&place, time, place.from + t);
            e *= momentum[row];
            if t == unit {
                e = one;
                own_step = step[row];
            }
            n = (one - forget[row]) * n + e;
        }
        if unit < SLOTS {
            between[(square * SLOTS + t) * SLOTS + unit] = n;
        }
        if unit == OF_MOMENTUM {
            edges[here + MOMENTUM * SLOTS + t] = n;
        }
        if unit == OF_WEIGHTS {
            edges[here + WEIGHTS * SLOTS + t] = n;
        }
    }

    if unit < SLOTS {
        edges[here + ADDED * SLOTS + unit] = n;
        edges[here + MOVED * SLOTS + unit] = e;
        edges[here + STEP * SLOTS + unit] = own_step;
    }
    if unit == OF_MOMENTUM {
        edges[here + WHOLE * SLOTS + MOMENTUM_ADDED] = n;
        edges[here + WHOLE * SLOTS + MOMENTUM_LEFT] = e;
    }
    if unit == OF_WEIGHTS {
        edges[here + WHOLE * SLOTS + WEIGHTS_LEFT] = n;
        edges[here + WHOLE * SLOTS + KIND] = marks[own + mark::KIND];
        edges[here + WHOLE * SLOTS + ORIGIN] = marks[own + mark::ORIGIN];
    }
}
