//! Native code with a hand-written backward: on Burn's Flex backend.

mod cpu;

use super::problem::{Joined, Problem};
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{FloatDType, Tensor};

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Inputs<B: Backend> {
    pub entries: FloatTensor<B>, // [b, n, d]
    pub filter: FloatTensor<B>,  // [d, l], l <= n
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where a segment begins and 0 elsewhere
}
tensors!(Inputs[3]: entries, filter; maybe resets);

/// The backward pass reads what the forward pass did.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Saved<B: Backend> {
    pub entries: FloatTensor<B>,
    pub filter: FloatTensor<B>,
    #[extension_type]
    pub resets: Maybe<B>,
}

#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>, // [b, t, d]
}
tensors!(Outputs[1]: output);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How many of the last entries are tokens.
    pub time: usize,
}

/// The long convolution as backends with a kernel implement it.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LongConvBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn long_conv(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn long_conv_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    fn long_conv_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(LongConv[3, 1]: LongConvBackend { long_conv, long_conv_forward, long_conv_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let problem = problem.joined();
    let kept = problem.kept();
    let Joined { entries, filter, time, resets, .. } = problem;
    let dtype = FloatDType::from(entries.dtype());
    let resets = resets.map(|resets| resets.float().cast(dtype));
    let inputs = Inputs {
        entries: entries.into_dispatch(),
        filter: filter.into_dispatch(),
        resets: Maybe::new(resets.map(Tensor::into_dispatch)),
    };
    let Outputs { output } = Dispatch::long_conv(inputs, Settings { time });
    (Tensor::from_dispatch(output), kept)
}
