//! The shapes of what the operator returns, which Burn's fusion wants to know before it runs.

use super::{InputsMetadata, OutputsMetadata, Settings};
use crate::kernel::tensors::MaybeMetadata;
use burn::backend::fusion::custom::TensorSpec;
use burn::tensor::Shape;

pub(super) fn outputs(inputs: &InputsMetadata, settings: &Settings) -> OutputsMetadata {
    let MaybeMetadata::Present(classes) = &inputs.classes else {
        unreachable!("the arguments are there, but for the bias")
    };
    let losses =
        if settings.each { classes.clone() } else { TensorSpec::new(Shape::new([1]), classes.dtype) };
    OutputsMetadata { losses }
}

pub(super) fn forward(inputs: &InputsMetadata, settings: &Settings) -> (OutputsMetadata, InputsMetadata) {
    let saved = if settings.each { inputs.clone() } else { gradients(inputs, settings) };
    (outputs(inputs, settings), saved)
}

pub(super) fn vjp(saved: &InputsMetadata, _: &OutputsMetadata, settings: &Settings) -> InputsMetadata {
    gradients(saved, settings)
}

/// What has a gradient, of arguments or of their gradients.
fn gradients(inputs: &InputsMetadata, settings: &Settings) -> InputsMetadata {
    let InputsMetadata { hidden, weight, bias, .. } = inputs.clone();
    let wanted = |wanted, tensor| if wanted { tensor } else { MaybeMetadata::Absent };
    InputsMetadata {
        hidden: wanted(settings.wanted.hidden, hidden),
        weight: wanted(settings.wanted.weight, weight),
        bias: wanted(settings.wanted.bias, bias),
        classes: MaybeMetadata::Absent,
        factors: MaybeMetadata::Absent,
    }
}
