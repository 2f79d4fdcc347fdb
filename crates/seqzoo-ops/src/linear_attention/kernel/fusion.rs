//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use super::{InputsMetadata, SavedMetadata, Settings};
use crate::kernel::tensors::MaybeMetadata;
use crate::matrix_memory::kernel::{OutputsMetadata, gpu::specs};

pub(super) fn outputs(inputs: &InputsMetadata, _: &Settings) -> OutputsMetadata {
    OutputsMetadata { output: inputs.value.clone(), memory: inputs.memory.clone() }
}

pub(super) fn forward(inputs: &InputsMetadata, settings: &Settings) -> (OutputsMetadata, SavedMetadata) {
    let InputsMetadata { query, key, value, decay, resets, .. } = inputs.clone();
    let (states, products) = (specs::states(&key, &value), specs::products(&value));
    (outputs(inputs, settings), SavedMetadata { query, key, value, decay, resets, states, products })
}

pub(super) fn vjp(saved: &SavedMetadata, upstream: &OutputsMetadata, _: &Settings) -> InputsMetadata {
    let SavedMetadata { query, key, value, decay, .. } = saved.clone();
    InputsMetadata {
        query,
        key,
        value,
        decay,
        memory: upstream.memory.clone(),
        resets: MaybeMetadata::Absent,
    }
}
