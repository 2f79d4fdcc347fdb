//! The shape of the saved states, for Burn's fusion.

use super::kind::CHUNK;
use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

/// The states before the chunks, for inputs `[b, t, e]` and rates `[e, n]`.
pub(in super::super) fn states(input: &TensorSpec, a: &TensorSpec) -> TensorSpec {
    let [batch, time, channels] = input.shape.dims();
    let [_, size] = a.shape.dims();
    TensorSpec::new(Shape::new([batch, time.div_ceil(CHUNK), channels * size]), input.dtype)
}
