//! One token.

use cubecl::prelude::*;

/// The recurrence itself, for sequences of one token: `[b, 1, h, _]`. `values` holds the value and receives the
/// output. One unit per column of a memory.
///
/// A column is read twice, for what its key finds is not known before all of it has been read.
#[cube(launch)]
pub(super) fn step<F: Float>(
    query: &Tensor<F>,
    key: &Tensor<F>,
    beta: &Tensor<F>,
    factors: &Tensor<F>,
    memory: &Tensor<F>,
    values: &mut Tensor<F>,
    last: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let index = ABSOLUTE_POS;
    if index >= values.len() {
        terminate!();
    }
    let keys = memory.shape(2);
    let width = memory.shape(3);
    let heads = memory.shape(1);
    let stream = index / width;
    let column = index % width;
    // Where the stream's query and key begin; its head may share them with others.
    let shared = stream / heads * query.shape(2) + stream % heads / (heads / query.shape(2));
    let zero = F::new(0.0_f32);

    let mut held = zero;
    for channel in 0..keys {
        let factor = factors[if comptime!(channels) { stream * keys + channel } else { stream }];
        // A product would not clear a memory that is infinite.
        if factor != zero {
            held +=
                key[shared * keys + channel] * (factor * memory[(stream * keys + channel) * width + column]);
        }
    }
    let own_beta = beta[stream * beta.shape(3) + column % beta.shape(3)];
    let written = own_beta * (values[index] - held);

    let mut sum = zero;
    for channel in 0..keys {
        let here = (stream * keys + channel) * width + column;
        let factor = factors[if comptime!(channels) { stream * keys + channel } else { stream }];
        let mut number = key[shared * keys + channel] * written;
        if factor != zero {
            number += factor * memory[here];
        }
        last[here] = number;
        sum += query[shared * keys + channel] * number;
    }
    values[index] = scale.get::<F>() * sum;
}
