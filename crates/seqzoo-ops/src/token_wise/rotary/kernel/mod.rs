//! The kernel: what it takes and returns, and its backward on the tape: the rotation the other way.

#[cfg(feature = "flex")]
mod cpu;

use super::RotaryLayout;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub tokens: FloatTensor<B>, // [b, t, h, k]; in the backward pass, the gradient of the output
    #[extension_type]
    pub cos: Maybe<B>, // [b, t, 1, d/2] or [1, t, 1, d/2]; without a gradient
    #[extension_type]
    pub sin: Maybe<B>,
}
tensors!(Inputs[3]: tokens; maybe cos, sin);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>, // [b, t, h, k]
}
tensors!(Outputs[1]: output);

type Settings = RotaryLayout;
type Saved<B> = Angles<B>;

/// What the backward pass reads.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Angles<B: Backend> {
    pub cos: FloatTensor<B>,
    pub sin: FloatTensor<B>,
}

/// The rotation as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait RotaryBackend: Backend {
    /// The output alone; what autodiff records.
    fn rotary(#[extension_type] inputs: Inputs<Self>, layout: RotaryLayout) -> Outputs<Self>;

    fn rotary_forward(
        #[extension_type] inputs: Inputs<Self>,
        layout: RotaryLayout,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradient of the tokens.
    fn rotary_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        layout: RotaryLayout,
    ) -> Inputs<Self>;
}

on_tape!(Rotary[3, 1]: RotaryBackend { rotary, rotary_forward, rotary_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(tokens: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, layout: RotaryLayout) -> Tensor<4> {
    let [cos, sin] = [cos, sin].map(|table| Maybe::Present(table.into_dispatch()));
    let Outputs { output } = Dispatch::rotary(Inputs { tokens: tokens.into_dispatch(), cos, sin }, layout);
    Tensor::from_dispatch(output)
}
