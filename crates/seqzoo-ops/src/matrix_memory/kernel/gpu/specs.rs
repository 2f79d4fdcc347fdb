//! The shapes of saved tensors, for Burn's fusion.

use super::launch::chunks;
use super::tile::CHUNK;
use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

/// The memories before the chunks, for keys `[b, t, hk, k]` and values `[b, t, h, v]`.
pub(crate) fn states(key: &TensorSpec, value: &TensorSpec) -> TensorSpec {
    let [_, _, _, keys] = key.shape.dims();
    let [batch, time, heads, values] = value.shape.dims();
    TensorSpec::new(Shape::new([batch, heads, chunks(time), keys, values]), value.dtype)
}

/// Products inside the chunks, with the heads of `like` `[b, t, h, _]`.
pub(crate) fn products(like: &TensorSpec) -> TensorSpec {
    let [batch, time, heads, _] = like.shape.dims();
    TensorSpec::new(Shape::new([batch, heads, chunks(time), CHUNK, CHUNK]), like.dtype)
}
