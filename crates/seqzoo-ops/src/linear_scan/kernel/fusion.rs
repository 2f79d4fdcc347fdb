//! The shapes of what the kernels return, which Burn's fusion wants to know before they run.

use super::{InputsMetadata, OutputsMetadata, SavedMetadata, Settings};
use crate::kernel::tensors::MaybeMetadata;

pub(super) fn outputs(inputs: &InputsMetadata, _: &Settings) -> OutputsMetadata {
    let InputsMetadata { input, state, input_im, state_im, .. } = inputs.clone();
    OutputsMetadata { states: input, last: state, states_im: input_im, last_im: state_im }
}

pub(super) fn forward(inputs: &InputsMetadata, settings: &Settings) -> (OutputsMetadata, SavedMetadata) {
    let outputs = outputs(inputs, settings);
    let InputsMetadata { factor, state, factor_im, state_im, resets, .. } = inputs.clone();
    let (states, states_im) = (outputs.states.clone(), outputs.states_im.clone());
    (outputs, SavedMetadata { factor, state, states, factor_im, state_im, states_im, resets })
}

pub(super) fn vjp(saved: &SavedMetadata, _: &OutputsMetadata, _: &Settings) -> InputsMetadata {
    let SavedMetadata { factor, state, states, factor_im, state_im, states_im, .. } = saved.clone();
    InputsMetadata {
        input: states,
        factor,
        state,
        input_im: states_im,
        factor_im,
        state_im,
        resets: MaybeMetadata::Absent,
    }
}
