//! Operators that look at one token at a time: what stands around the mixers of a model.
//!
//! | operator | what it computes |
//! |---|---|
//! | [`linear`](linear::linear) | `x W + b`, of one input through several matrices |
//! | [`rms_norm`](rms_norm::rms_norm) | `γ ⊙ x / sqrt(mean(x²) + ε)`, with a gate after it |
//! | [`unit_length`](rms_norm::unit_length) | `x / sqrt(Σ x² + ε)`, of queries and keys |
//! | [`rotate`](rotary::rotate) | rotary positions: pairs of channels that turn |
//! | [`swiglu`](pointwise::swiglu) | `silu(a) ⊙ b` |
//! | [`elu_plus_one`](pointwise::elu_plus_one), [`squared_relu`](pointwise::squared_relu) | feature maps of linear attention |
//! | [`taylor`](feature_maps::taylor), [`hedgehog`](feature_maps::hedgehog) | feature maps that make other channels of a head's |
//! | [`log_sigmoid`](pointwise::log_sigmoid) | `max(c ln σ(x), m)`, a log decay |
//!
//! Their law is written in tensor operations ([`Form::Parallel`]), one for every step of the formula, each with an array of its
//! own. The kernel ([`Form::Kernel`], on Flex) goes over the numbers once in either direction, on all cores, and saves the inputs
//! alone.

pub mod feature_maps;
pub mod linear;
pub mod pointwise;
pub mod rms_norm;
pub mod rotary;

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use burn::tensor::Device;

/// Which form the operators of this module take on `device`, and why.
///
/// # Panics
///
/// If the form asked for cannot be had.
#[track_caller]
pub fn report(form: Form, device: &Device) -> Report {
    form.resolve(2, &Forms::parallel(kernel_on(device)))
}

fn kernel_on(device: &Device) -> Option<Kernel> {
    Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu)
}

/// Whether the kernel is to run, where tensors have elements at all.
#[track_caller]
fn runs_kernel(form: Form, device: &Device, elements: usize) -> bool {
    report(form, device).kernel.is_some() && elements > 0
}
