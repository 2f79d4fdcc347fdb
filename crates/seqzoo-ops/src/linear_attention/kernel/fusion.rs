//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use crate::kernel::Settings;
use crate::kernel::gpu::matrix_memory::{launch::chunks, tile::CHUNK};
use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

/// Of [`linear_attention_forward`](super::LinearAttentionBackend::linear_attention_forward).
#[allow(clippy::too_many_arguments, reason = "the operator's inputs")]
pub(super) fn forward(
    _query: &TensorSpec,
    key: &TensorSpec,
    value: &TensorSpec,
    _decay: &TensorSpec,
    memory: &TensorSpec,
    _resets: &TensorSpec,
    _settings: &Settings,
    keep: &bool,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    let spec = |shape| TensorSpec::new(shape, value.dtype);
    let [batch, time, heads, keys] = key.shape.dims();
    let [_, _, _, values] = value.shape.dims();
    let (memories, products) = if *keep {
        let chunks = chunks(time);
        (Shape::new([batch, heads, chunks, keys, values]), Shape::new([batch, heads, chunks, CHUNK, CHUNK]))
    } else {
        (Shape::new([1]), Shape::new([1]))
    };
    (value.clone(), memory.clone(), spec(memories), spec(products))
}

/// Of [`linear_attention_vjp`](super::LinearAttentionBackend::linear_attention_vjp).
#[allow(clippy::too_many_arguments, reason = "the operator's inputs")]
pub(super) fn vjp(
    query: &TensorSpec,
    key: &TensorSpec,
    value: &TensorSpec,
    decay: &TensorSpec,
    _resets: &TensorSpec,
    _memories: &TensorSpec,
    _products: &TensorSpec,
    _output: &TensorSpec,
    last: &TensorSpec,
    _settings: &Settings,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    (query.clone(), key.clone(), value.clone(), decay.clone(), last.clone())
}
