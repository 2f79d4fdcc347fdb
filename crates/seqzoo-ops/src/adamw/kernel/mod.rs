//! The kernel: what it takes and returns. Nothing of it goes on a tape.

#[cfg(feature = "flex")]
mod cpu;

use super::{AdamWResult, AdamWStep};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, of one shape and dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Parameter<B: Backend> {
    pub weight: FloatTensor<B>,
    pub gradient: FloatTensor<B>,
    pub first: FloatTensor<B>,
    pub second: FloatTensor<B>,
}

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Moved<B: Backend> {
    pub weight: FloatTensor<B>,
    pub first: FloatTensor<B>,
    pub second: FloatTensor<B>,
}

/// A step as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
)]
pub(crate) trait AdamWBackend: Backend {
    fn adamw(#[extension_type] parameter: Parameter<Self>, step: AdamWStep) -> Moved<Self>;
}

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    step: AdamWStep,
) -> AdamWResult<D> {
    let parameter = Parameter {
        weight: weight.into_dispatch(),
        gradient: gradient.into_dispatch(),
        first: first.into_dispatch(),
        second: second.into_dispatch(),
    };
    let Moved { weight, first, second } = Dispatch::adamw(parameter, step);
    let [weight, first, second] = [weight, first, second].map(Tensor::from_dispatch);
    AdamWResult { weight, moments: [first, second] }
}
