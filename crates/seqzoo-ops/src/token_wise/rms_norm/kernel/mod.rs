//! The kernel: what it takes and returns, and its backward on the tape.

#[cfg(feature = "flex")]
mod cpu;

use super::GateActivation;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub input: FloatTensor<B>, // [.., d]
    pub gamma: FloatTensor<B>, // [d]
    #[extension_type]
    pub gate: Maybe<B>, // [.., d]
}
tensors!(Inputs[3]: input, gamma; maybe gate);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>, // [.., d]
}
tensors!(Outputs[1]: output);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub epsilon: f64,
    /// Of the gate, if there is one.
    pub activation: GateActivation,
}

type Saved<B> = Inputs<B>;

/// The norm as backends with a kernel implement it. The backward pass reads the arguments alone.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait RmsNormBackend: Backend {
    /// The output alone; what autodiff records.
    fn rms_norm(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn rms_norm_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs.
    fn rms_norm_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(RmsNorm[3, 1]: RmsNormBackend { rms_norm, rms_norm_forward, rms_norm_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run<const D: usize>(
    input: Tensor<D>,
    gamma: Tensor<1>,
    epsilon: f64,
    gate: Option<(Tensor<D>, GateActivation)>,
) -> Tensor<D> {
    let activation = gate.as_ref().map_or(GateActivation::default(), |(_, activation)| *activation);
    let inputs = Inputs {
        input: input.into_dispatch(),
        gamma: gamma.into_dispatch(),
        gate: Maybe::new(gate.map(|(gate, _)| gate.into_dispatch())),
    };
    let Outputs { output } = Dispatch::rms_norm(inputs, Settings { epsilon, activation });
    Tensor::from_dispatch(output)
}
