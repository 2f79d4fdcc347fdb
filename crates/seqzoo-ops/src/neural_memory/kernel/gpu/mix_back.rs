//! The gradients of the gates.

use super::super::blocks::{SLOTS, mark};
use super::edges::{
    ADDED, EDGES, MOMENTUM, MOMENTUM_ADDED, MOMENTUM_LEFT, MOVED, WEIGHTS, WEIGHTS_LEFT, WHOLE,
};
use super::mix::{OF_MOMENTUM, OF_WEIGHTS, UNITS};
use crate::matrix_memory::kernel::gpu::tile::{Place, value_row};
use cubecl::prelude::*;

/// Units that have a column.
const COLUMNS: usize = SLOTS + 2;

/// Walks [`mix`](super::mix::mix) back: from the gradients of `between` and of the edges those of the gates. One cube per
/// block, one unit per column.
#[cube(launch)]
pub(super) fn mix_back<F: Float>(
    forget: &Tensor<F>,
    momentum: &Tensor<F>,
    marks: &Tensor<F>,
    of_between: &Tensor<F>,
    of_edges: &Tensor<F>,
    of_forget: &mut Tensor<F>,
    of_momentum: &mut Tensor<F>,
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
    let mut to_forget = Shared::<[F]>::new_slice(SLOTS * UNITS);
    let mut to_momentum = Shared::<[F]>::new_slice(SLOTS * UNITS);

    let unit = UNIT_POS as usize;
    // What the column holds before every token, and in the end the gradients of what it holds after the last one.
    let mut e_before = Array::<F>::new(SLOTS);
    let mut n_before = Array::<F>::new(SLOTS);
    let mut e = zero;
    let mut n = zero;
    let mut of_e = zero;
    let mut of_n = zero;
    if unit < SLOTS {
        of_n = of_edges[here + ADDED * SLOTS + unit];
        of_e = of_edges[here + MOVED * SLOTS + unit];
    }
    if unit == OF_MOMENTUM {
        e = one;
        of_n = of_edges[here + WHOLE * SLOTS + MOMENTUM_ADDED];
        of_e = of_edges[here + WHOLE * SLOTS + MOMENTUM_LEFT];
    }
    if unit == OF_WEIGHTS {
        n = one;
        of_n = of_edges[here + WHOLE * SLOTS + WEIGHTS_LEFT];
    }
    #[unroll]
    for t in 0..SLOTS {
        e_before[t] = e;
        n_before[t] = n;
        let slot = F::cast_from(t as u32);
        if slot >= first && slot < end {
            let row = value_row(&place, time, place.from + t);
            e *= momentum[row];
            if t == unit {
                e = one;
            }
            n = (one - forget[row]) * n + e;
        }
    }

    #[unroll]
    for step in 0..SLOTS {
        let t = comptime!(SLOTS - 1 - step);
        if unit < SLOTS {
            of_n += of_between[(square * SLOTS + t) * SLOTS + unit];
        }
        if unit == OF_MOMENTUM {
            of_n += of_edges[here + MOMENTUM * SLOTS + t];
        }
        if unit == OF_WEIGHTS {
            of_n += of_edges[here + WEIGHTS * SLOTS + t];
        }
        let mut of_own_forget = zero;
        let mut of_own_momentum = zero;
        let slot = F::cast_from(t as u32);
        if slot >= first && slot < end {
            let row = value_row(&place, time, place.from + t);
            of_e += of_n;
            of_own_forget = zero - of_n * n_before[t];
            of_n *= one - forget[row];
            if t == unit {
                of_e = zero;
            } else {
                of_own_momentum = of_e * e_before[t];
                of_e *= momentum[row];
            }
        }
        to_forget[t * UNITS + unit] = of_own_forget;
        to_momentum[t * UNITS + unit] = of_own_momentum;
    }
    sync_cube();

    if unit < SLOTS {
        let mut sum_forget = zero;
        let mut sum_momentum = zero;
        for column in 0..COLUMNS {
            sum_forget += to_forget[unit * UNITS + column];
            sum_momentum += to_momentum[unit * UNITS + column];
        }
        let row = value_row(&place, time, place.from + unit);
        of_forget[row] = sum_forget;
        of_momentum[row] = sum_momentum;
    }
}
