//! The kernel: what it takes and returns, and its backward on the tape.

#[cfg(feature = "flex")]
mod cpu;

use super::Function;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, of one shape and dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub x: FloatTensor<B>,
    #[extension_type]
    pub y: Maybe<B>,
}
tensors!(Inputs[2]: x; maybe y);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>,
}
tensors!(Outputs[1]: output);

type Settings = Function;
type Saved<B> = Inputs<B>;

/// Functions of numbers as backends with a kernel implement them. The backward pass reads the arguments alone.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait PointwiseBackend: Backend {
    /// The output alone; what autodiff records.
    fn pointwise(#[extension_type] inputs: Inputs<Self>, function: Function) -> Outputs<Self>;

    fn pointwise_forward(
        #[extension_type] inputs: Inputs<Self>,
        function: Function,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs.
    fn pointwise_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        function: Function,
    ) -> Inputs<Self>;
}

on_tape!(Pointwise[2, 1]: PointwiseBackend { pointwise, pointwise_forward, pointwise_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run<const D: usize>(function: Function, x: Tensor<D>, y: Option<Tensor<D>>) -> Tensor<D> {
    let y = Maybe::new(y.map(Tensor::into_dispatch));
    let Outputs { output } = Dispatch::pointwise(Inputs { x: x.into_dispatch(), y }, function);
    Tensor::from_dispatch(output)
}
