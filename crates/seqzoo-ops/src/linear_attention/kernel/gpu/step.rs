//! One token.

use cubecl::prelude::*;

/// The recurrence itself, for sequences of one token: `[b, 1, h, _]`. One unit per column of a memory.
///
/// A stream is decoded at the speed at which memories are read and written; this reads and writes them
/// once.
#[cube(launch)]
pub(super) fn step<F: Float>(
    query: &Tensor<F>,
    key: &Tensor<F>,
    value: &Tensor<F>,
    factors: &Tensor<F>,
    memory: &Tensor<F>,
    out: &mut Tensor<F>,
    last: &mut Tensor<F>,
    scale: InputScalar,
    #[comptime] channels: bool,
    #[define(F)] _dtype: ElemType,
) {
    let index = ABSOLUTE_POS;
    if index >= value.len() {
        terminate!();
    }
    let keys = memory.shape(2);
    let values = memory.shape(3);
    let heads = memory.shape(1);
    let stream = index / values;
    let column = index % values;
    // Where the stream's query and key begin; its head may share them with others.
    let shared = stream / heads * query.shape(2) + stream % heads / (heads / query.shape(2));
    let written = value[index];
    let mut sum = F::new(0.0_f32);
    for channel in 0..keys {
        let here = (stream * keys + channel) * values + column;
        let factor = factors[if comptime!(channels) { stream * keys + channel } else { stream }];
        let mut number = key[shared * keys + channel] * written;
        // A product would not clear a memory that is infinite.
        if factor != F::new(0.0_f32) {
            number += factor * memory[here];
        }
        last[here] = number;
        sum += query[shared * keys + channel] * number;
    }
    out[index] = scale.get::<F>() * sum;
}
