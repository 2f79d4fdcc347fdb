//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use super::blocks::{InputsMetadata, SLOTS, SavedMetadata, Settings};
use super::gpu::EDGES;
use crate::kernel::tensors::MaybeMetadata;
use crate::matrix_memory::kernel::OutputsMetadata;
use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

pub(super) fn outputs(inputs: &InputsMetadata, _: &Settings) -> OutputsMetadata {
    OutputsMetadata { output: inputs.value.clone(), memory: inputs.memory.clone() }
}

pub(super) fn forward(inputs: &InputsMetadata, settings: &Settings) -> (OutputsMetadata, SavedMetadata) {
    let InputsMetadata { query, key, value, forget, momentum, step, memory, marks, initial } = inputs.clone();
    let [batch, heads, width, values] = initial.shape.dims();
    let [_, slots, ..] = query.shape.dims::<4>();
    let of_blocks = |rows, columns| {
        let shape = Shape::new([batch, heads, slots / SLOTS, rows, columns]);
        TensorSpec::new(shape, query.dtype)
    };
    let (states, edges) = (of_blocks(2 * width, values), of_blocks(EDGES, SLOTS));
    let (products, between) = (of_blocks(SLOTS, SLOTS), of_blocks(SLOTS, SLOTS));
    let saved = SavedMetadata {
        query,
        key,
        forget,
        momentum,
        step,
        memory,
        marks,
        states,
        differences: value,
        products,
        between,
        edges,
    };
    (outputs(inputs, settings), saved)
}

pub(super) fn vjp(saved: &SavedMetadata, upstream: &OutputsMetadata, _: &Settings) -> InputsMetadata {
    let SavedMetadata { query, key, forget, momentum, step, memory, differences, .. } = saved.clone();
    let [batch, heads, parts, values] = memory.shape.dims();
    let initial = TensorSpec::new(Shape::new([batch, heads, parts / 3, values]), memory.dtype);
    InputsMetadata {
        query,
        key,
        value: differences,
        forget,
        momentum,
        step,
        memory: upstream.memory.clone(),
        initial,
        marks: MaybeMetadata::Absent,
    }
}
