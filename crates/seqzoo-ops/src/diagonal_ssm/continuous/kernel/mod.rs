//! One pass over all parameters on the CPU, without gradients: what a stream makes again for every token.

#[cfg(feature = "flex")]
mod cpu;

use super::{ContinuousSsm, Discretisation, RealTransform};
use crate::Complex;
use crate::kernel::Kernel;
use crate::kernel::tensors::Maybe;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{Device, Tensor};

/// Whether it runs on `device`.
pub(super) fn runs_on(device: &Device) -> bool {
    Kernel::on(device) == Some(Kernel::Cpu) && !device.is_autodiff()
}

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Inputs<B: Backend> {
    pub log_dt: FloatTensor<B>, // [e]
    pub a_real: FloatTensor<B>, // [e, n]
    pub a_imag: FloatTensor<B>, // [e, n]
    pub c: FloatTensor<B>,      // [e, n, 2]
    #[extension_type]
    pub b: Maybe<B>, // [e, n, 2]
}

/// What a call returns, all `[e, n]`.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Outputs<B: Backend> {
    pub eigenvalues_re: FloatTensor<B>,
    pub eigenvalues_im: FloatTensor<B>,
    pub weights_re: FloatTensor<B>,
    pub weights_im: FloatTensor<B>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub discretisation: Discretisation,
    pub real_transform: RealTransform,
}

/// The discretised state space as backends with a kernel implement it.
#[backend_extension(Flex: cfg(feature = "flex"))]
pub(crate) trait ContinuousSsmBackend: Backend {
    fn discretised(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;
}

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(
    parameters: ContinuousSsm,
    discretisation: Discretisation,
    real_transform: RealTransform,
) -> (Complex<2>, Complex<2>) {
    let ContinuousSsm { log_dt, a_real, a_imag, b, c } = parameters;
    let inputs = Inputs {
        log_dt: log_dt.into_dispatch(),
        a_real: a_real.into_dispatch(),
        a_imag: a_imag.into_dispatch(),
        c: c.into_dispatch(),
        b: Maybe::new(b.map(Tensor::into_dispatch)),
    };
    let outputs = Dispatch::discretised(inputs, Settings { discretisation, real_transform });
    let complex = |re, im| Complex::new(Tensor::from_dispatch(re), Tensor::from_dispatch(im));
    (complex(outputs.eigenvalues_re, outputs.eigenvalues_im), complex(outputs.weights_re, outputs.weights_im))
}
