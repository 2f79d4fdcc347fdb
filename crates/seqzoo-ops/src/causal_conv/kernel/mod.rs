//! The kernels: what they take and return, and their backward on the tape.

#[cfg(feature = "flex")]
mod cpu;

use super::Problem;
use crate::kernel::Kernel;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::precision::to_dtype;
use crate::segments::Segments;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};

/// The kernel that this operator has on `device`.
pub(super) fn on(device: &Device) -> Option<Kernel> {
    Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu)
}

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub input: FloatTensor<B>,  // [b, t, d]
    pub weight: FloatTensor<B>, // [d, w]
    pub state: FloatTensor<B>,  // [b, w - 1, d] or [n, w - 1, d]
    #[extension_type]
    pub bias: Maybe<B>, // [d]
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where the state is cleared before the token and 0 elsewhere
}
tensors!(Inputs[5]: input, weight, state; maybe bias, resets);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>, // [b, t, d]
    pub state: FloatTensor<B>,  // [b, w - 1, d] or [n, w - 1, d]
}
tensors!(Outputs[2]: output, state);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Whether the outputs go through `silu`.
    pub silu: bool,
    /// Segments, of which the states are then.
    pub segments: Option<Segments>,
}

/// The short convolution as backends with a kernel implement it. The backward pass reads the arguments alone.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait CausalConvBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn causal_conv(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn causal_conv_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    fn causal_conv_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

type Saved<B> = Inputs<B>;

on_tape!(CausalConv[5, 2]: CausalConvBackend { causal_conv, causal_conv_forward, causal_conv_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let dtype = problem.input.dtype();
    let Problem { input, weight, bias, silu, state, resets, segments } = problem;
    let resets = resets.map(|resets| to_dtype(resets.float(), dtype).into_dispatch());
    let Outputs { output, state } = Dispatch::causal_conv(
        Inputs {
            input: input.into_dispatch(),
            weight: weight.into_dispatch(),
            state: state.into_dispatch(),
            bias: Maybe::new(bias.map(Tensor::into_dispatch)),
            resets: Maybe::new(resets),
        },
        Settings { silu, segments },
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(state))
}
