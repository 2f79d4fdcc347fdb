#![doc = include_str!("README.md")]

#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
#[cfg(feature = "cube")]
mod gpu;

use super::problem::Problem;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::precision::to_dtype;
use crate::segments::Segments;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub input: FloatTensor<B>, // [b, t, e]
    pub delta: FloatTensor<B>, // [b, t, e]
    pub a: FloatTensor<B>,     // [e, n]
    pub b: FloatTensor<B>,     // [b, t, g, n]
    pub c: FloatTensor<B>,     // [b, t, g, n]
    pub state: FloatTensor<B>, // [b, e, n], before the first token; or of segments in place of rows
    #[extension_type]
    pub delta_bias: Maybe<B>, // [e]
    #[extension_type]
    pub d: Maybe<B>, // [e]
    #[extension_type]
    pub z: Maybe<B>, // [b, t, e]
    #[extension_type]
    pub resets: Maybe<B>, // [b, t], 1 where the state is cleared before the token and 0 elsewhere
}
tensors!(Inputs[10]: input, delta, a, b, c, state; maybe delta_bias, d, z, resets);

/// What a call returns.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>, // [b, t, e]
    pub state: FloatTensor<B>,  // [b, e, n], after the last token
}
tensors!(Outputs[2]: output, state);

/// The tensors that the backward pass reads: the arguments and, in a layout of the backend's own, the states before the
/// chunks.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    #[extension_type]
    pub inputs: Inputs<B>,
    pub states: FloatTensor<B>,
}

/// Whether `a` holds `ln(-A)`, how a step is made of `delta`, and the segments, which only the kernel on the CPU is given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub a_log: bool,
    pub softplus: bool,
    pub limits: Option<(f64, f64)>,
    pub segments: Option<Segments>,
}

/// The selective scan as backends with a kernel implement it.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub(crate) trait SelectiveScanBackend: Backend {
    /// The outputs alone; what autodiff records.
    #[fusion(meta = fusion::outputs)]
    fn selective_scan(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    #[fusion(meta = fusion::forward)]
    fn selective_scan_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    #[fusion(meta = fusion::vjp)]
    fn selective_scan_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(SelectiveScan[10, 2]: SelectiveScanBackend { selective_scan, selective_scan_forward, selective_scan_vjp });

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let dtype = problem.dtype();
    let Problem { input, delta, a, a_log, b, c, step, d, z, state, resets, segments } = problem;
    let settings = Settings { a_log, softplus: step.softplus, limits: step.limits, segments };
    let resets = resets.map(|resets| to_dtype(resets.float(), dtype).into_dispatch());
    let Outputs { output, state } = Dispatch::selective_scan(
        Inputs {
            input: input.into_dispatch(),
            delta: delta.into_dispatch(),
            a: a.into_dispatch(),
            b: b.into_dispatch(),
            c: c.into_dispatch(),
            state: state.into_dispatch(),
            delta_bias: Maybe::new(step.bias.map(Tensor::into_dispatch)),
            d: Maybe::new(d.map(Tensor::into_dispatch)),
            z: Maybe::new(z.map(Tensor::into_dispatch)),
            resets: Maybe::new(resets),
        },
        settings,
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(state))
}
