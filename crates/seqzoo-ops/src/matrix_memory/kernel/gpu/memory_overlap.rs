//! How much of what a chunk hands on matters.

use super::tile::CHUNK;
use cubecl::prelude::*;

/// `Σ_v S[k, v] D[k, v]` of the memory before every chunk and the gradient of the memory after it,
/// where the chunk's first token has its decay gradient, `[b, t, h, k]`. One unit per chunk and key
/// channel.
#[cube(launch)]
pub(super) fn memory_overlap<F: Float>(
    memories: &Tensor<F>,
    gradients: &Tensor<F>,
    out: &mut Tensor<F>,
    #[define(F)] _dtype: ElemType,
) {
    let heads = memories.shape(1);
    let chunks = memories.shape(2);
    let keys = memories.shape(3);
    let values = memories.shape(4);
    let line = ABSOLUTE_POS;
    let stream = line / (keys * chunks);
    if stream >= memories.shape(0) * heads {
        terminate!();
    }
    let token = (line / keys) % chunks * CHUNK;
    let row = (stream / heads * out.shape(1) + token) * heads + stream % heads;
    let mut sum = F::new(0.0_f32);
    for value in 0..values {
        sum += memories[line * values + value] * gradients[line * values + value];
    }
    out[row * keys + line % keys] = sum;
}
