//! The kernels: what they take and return, and their backward on the tape.

#[cfg(feature = "flex")]
pub(super) mod cpu;

use super::problem::Problem;
use crate::Complex;
use crate::kernel::Kernel;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::precision::to_dtype;
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
    pub input: FloatTensor<B>,          // [b, t, e]
    pub eigenvalues_re: FloatTensor<B>, // [e, n]
    pub eigenvalues_im: FloatTensor<B>, // [e, n]
    pub weights_re: FloatTensor<B>,     // [e, n]
    pub weights_im: FloatTensor<B>,     // [e, n]
    pub state_re: FloatTensor<B>,       // [b, e, n], before the first token
    pub state_im: FloatTensor<B>,       // [b, e, n]
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where the state is cleared before the token and 0 elsewhere
}
tensors!(
    Inputs[8]: input, eigenvalues_re, eigenvalues_im, weights_re, weights_im, state_re, state_im;
    maybe resets
);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>,   // [b, t, e]
    pub state_re: FloatTensor<B>, // [b, e, n], after the last token
    pub state_im: FloatTensor<B>, // [b, e, n]
}
tensors!(Outputs[3]: output, state_re, state_im);

/// The tensors that the backward pass reads: the arguments and, in a layout of the backend's own, the states before the
/// chunks.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    #[extension_type]
    pub inputs: Inputs<B>,
    pub states: FloatTensor<B>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings;

/// The diagonal state space as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Autodiff,
)]
pub(crate) trait DiagonalSsmBackend: Backend {
    /// The outputs alone; what autodiff records.
    fn diagonal_ssm(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    fn diagonal_ssm_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    fn diagonal_ssm_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(DiagonalSsm[8, 3]: DiagonalSsmBackend { diagonal_ssm, diagonal_ssm_forward, diagonal_ssm_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<3>, Complex<3>) {
    let dtype = problem.dtype();
    let Problem { input, eigenvalues, weights, state, resets } = problem;
    let resets = resets.map(|resets| to_dtype(resets.float(), dtype).into_dispatch());
    let Outputs { output, state_re, state_im } = Dispatch::diagonal_ssm(
        Inputs {
            input: input.into_dispatch(),
            eigenvalues_re: eigenvalues.re.into_dispatch(),
            eigenvalues_im: eigenvalues.im.into_dispatch(),
            weights_re: weights.re.into_dispatch(),
            weights_im: weights.im.into_dispatch(),
            state_re: state.re.into_dispatch(),
            state_im: state.im.into_dispatch(),
            resets: Maybe::new(resets),
        },
        Settings,
    );
    let state = Complex::new(Tensor::from_dispatch(state_re), Tensor::from_dispatch(state_im));
    (Tensor::from_dispatch(output), state)
}
