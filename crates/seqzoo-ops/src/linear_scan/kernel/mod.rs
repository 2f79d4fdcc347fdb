#![doc = include_str!("README.md")]

#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
#[cfg(feature = "cube")]
mod gpu;

use super::problem::Problem;
use crate::Complex;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::precision::to_dtype;
use crate::segments::Segments;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{Bool, Tensor};

/// The arguments of a call, in one dtype, `f32` or `f64`. The imaginary parts are all there or all absent.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub input: FloatTensor<B>,  // [b, t, d]
    pub factor: FloatTensor<B>, // [b, t, d], or [1, 1, d] where it is the same for every token
    pub state: FloatTensor<B>,  // [b, 1, d] or [n, 1, d], before the first token
    #[extension_type]
    pub input_im: Maybe<B>,
    #[extension_type]
    pub factor_im: Maybe<B>,
    #[extension_type]
    pub state_im: Maybe<B>,
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where the state is cleared before the token and 0 elsewhere
}
tensors!(Inputs[7]: input, factor, state; maybe input_im, factor_im, state_im, resets);

#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub states: FloatTensor<B>, // [b, t, d]
    pub last: FloatTensor<B>,   // [b, 1, d] or [n, 1, d]
    #[extension_type]
    pub states_im: Maybe<B>,
    #[extension_type]
    pub last_im: Maybe<B>,
}
tensors!(Outputs[4]: states, last; maybe states_im, last_im);

/// The tensors that the backward pass reads.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    pub factor: FloatTensor<B>,
    pub state: FloatTensor<B>,
    pub states: FloatTensor<B>,
    #[extension_type]
    pub factor_im: Maybe<B>,
    #[extension_type]
    pub state_im: Maybe<B>,
    #[extension_type]
    pub states_im: Maybe<B>,
    #[extension_type]
    pub resets: Maybe<B>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Segments, of which the states are then. Only the kernel on the CPU is given any.
    pub segments: Option<Segments>,
}

/// The linear scan as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub(crate) trait LinearScanBackend: Backend {
    /// The outputs alone; what autodiff records.
    #[fusion(meta = fusion::outputs)]
    fn linear_scan(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    #[fusion(meta = fusion::forward)]
    fn linear_scan_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    #[fusion(meta = fusion::vjp)]
    fn linear_scan_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(LinearScan[7, 4]: LinearScanBackend { linear_scan, linear_scan_forward, linear_scan_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem<Tensor<3>>) -> (Tensor<3>, Tensor<3>) {
    let Problem { input, factor, state, resets, segments } = problem;
    let Outputs { states, last, .. } = call([input, factor, state], None, resets, segments);
    (Tensor::from_dispatch(states), Tensor::from_dispatch(last))
}

/// Runs the kernel of the device that the tensors are on, on complex numbers.
pub(super) fn run_complex(problem: Problem<Complex<3>>) -> (Complex<3>, Complex<3>) {
    let Problem { input, factor, state, resets, segments } = problem;
    let imaginary = [input.im, factor.im, state.im];
    let Outputs { states, last, states_im, last_im } =
        call([input.re, factor.re, state.re], Some(imaginary), resets, segments);
    let complex = |re, im: Maybe<Dispatch>| {
        let im = im.into_option().expect("complex inputs have complex outputs");
        Complex::new(Tensor::from_dispatch(re), Tensor::from_dispatch(im))
    };
    (complex(states, states_im), complex(last, last_im))
}

/// Calls the kernel with real and imaginary parts of input, factor and state.
fn call(
    real: [Tensor<3>; 3],
    imaginary: Option<[Tensor<3>; 3]>,
    resets: Option<Tensor<2, Bool>>,
    segments: Option<Segments>,
) -> Outputs<Dispatch> {
    let dtype = real[0].dtype();
    let resets = resets.map(|resets| to_dtype(resets.float(), dtype).into_dispatch());
    let [input, factor, state] = real.map(Tensor::into_dispatch);
    let [input_im, factor_im, state_im] = match imaginary {
        Some(parts) => parts.map(|part| Maybe::Present(part.into_dispatch())),
        None => [const { Maybe::Absent }; 3],
    };
    let resets = Maybe::new(resets);
    let inputs = Inputs { input, factor, state, input_im, factor_im, state_im, resets };
    Dispatch::linear_scan(inputs, Settings { segments })
}
