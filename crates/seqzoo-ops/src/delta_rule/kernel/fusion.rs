//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use crate::kernel::Settings;
use crate::kernel::gpu::matrix_memory::{launch::chunks, tile::CHUNK};
use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

/// Of [`delta_rule_forward`](super::DeltaRuleBackend::delta_rule_forward).
#[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "the operator's inputs and outputs")]
pub(super) fn forward(
    _query: &TensorSpec,
    key: &TensorSpec,
    value: &TensorSpec,
    _beta: &TensorSpec,
    _decay: &TensorSpec,
    memory: &TensorSpec,
    _resets: &TensorSpec,
    _settings: &Settings,
    keep: &bool,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    let spec = |shape| TensorSpec::new(shape, value.dtype);
    let nothing = || spec(Shape::new([1]));
    if !keep {
        return (value.clone(), memory.clone(), nothing(), nothing(), nothing(), nothing());
    }
    let [batch, time, heads, keys] = key.shape.dims();
    let [_, _, _, values] = value.shape.dims();
    let chunks = chunks(time);
    let square = || spec(Shape::new([batch, heads, chunks, CHUNK, CHUNK]));
    let memories = spec(Shape::new([batch, heads, chunks, keys, values]));
    (value.clone(), memory.clone(), memories, value.clone(), square(), square())
}

/// Of [`delta_rule_vjp`](super::DeltaRuleBackend::delta_rule_vjp).
#[allow(clippy::too_many_arguments, clippy::type_complexity, reason = "the operator's inputs and outputs")]
pub(super) fn vjp(
    query: &TensorSpec,
    key: &TensorSpec,
    beta: &TensorSpec,
    decay: &TensorSpec,
    _resets: &TensorSpec,
    _memories: &TensorSpec,
    differences: &TensorSpec,
    _products: &TensorSpec,
    _overlaps: &TensorSpec,
    _output: &TensorSpec,
    last: &TensorSpec,
    _settings: &Settings,
) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
    // The values themselves are gone; their differences have their shape.
    (query.clone(), key.clone(), differences.clone(), beta.clone(), decay.clone(), last.clone())
}
