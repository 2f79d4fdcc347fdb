//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use super::{InputsMetadata, SavedMetadata, Settings};
use crate::kernel::tensors::MaybeMetadata;
use crate::matrix_memory::kernel::{OutputsMetadata, gpu::specs};

pub(super) fn outputs(inputs: &InputsMetadata, _: &Settings) -> OutputsMetadata {
    OutputsMetadata { output: inputs.value.clone(), memory: inputs.memory.clone() }
}

pub(super) fn forward(inputs: &InputsMetadata, settings: &Settings) -> (OutputsMetadata, SavedMetadata) {
    let InputsMetadata { query, key, value, beta, decay, resets, .. } = inputs.clone();
    let (states, products) = (specs::states(&key, &value), specs::products(&value));
    let (differences, overlaps) = (value, products.clone());
    let saved = SavedMetadata { query, key, beta, decay, resets, states, differences, products, overlaps };
    (outputs(inputs, settings), saved)
}

pub(super) fn vjp(saved: &SavedMetadata, upstream: &OutputsMetadata, _: &Settings) -> InputsMetadata {
    let SavedMetadata { query, key, beta, decay, differences, .. } = saved.clone();
    let memory = upstream.memory.clone();
    InputsMetadata { query, key, value: differences, beta, decay, memory, resets: MaybeMetadata::Absent }
}
