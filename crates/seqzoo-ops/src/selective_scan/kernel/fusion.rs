//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use super::gpu::specs;
use super::{InputsMetadata, OutputsMetadata, SavedMetadata, Settings};
use crate::kernel::tensors::MaybeMetadata;

pub(super) fn outputs(inputs: &InputsMetadata, _: &Settings) -> OutputsMetadata {
    OutputsMetadata { output: inputs.input.clone(), state: inputs.state.clone() }
}

pub(super) fn forward(inputs: &InputsMetadata, settings: &Settings) -> (OutputsMetadata, SavedMetadata) {
    let states = specs::states(&inputs.input, &inputs.a);
    (outputs(inputs, settings), SavedMetadata { inputs: inputs.clone(), states })
}

pub(super) fn vjp(saved: &SavedMetadata, _: &OutputsMetadata, _: &Settings) -> InputsMetadata {
    InputsMetadata { resets: MaybeMetadata::Absent, ..saved.inputs.clone() }
}
