//! A matrix times a few rows, on the CPU and without gradients.

#[cfg(feature = "flex")]
mod cpu;

use crate::kernel::Kernel;
use crate::kernel::tensors::{Maybe, tensors};
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{DType, Tensor};

/// With more rows than this, a general product is as fast.
const MOST_ROWS: usize = 4;

/// Whether the kernel takes this call.
pub(super) fn takes<const D: usize>(input: &Tensor<D>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> bool {
    let (shape, [channels, width], dtype) = (input.dims(), weight.dims(), input.dtype());
    let rows: usize = shape[..D - 1].iter().product();
    let device = input.device();
    (1..=MOST_ROWS).contains(&rows)
        && (shape[D - 1], weight.dtype()) == (channels, dtype)
        && bias.is_none_or(|bias| (bias.dims(), bias.dtype()) == ([width], dtype))
        && matches!(dtype, DType::F32 | DType::F64)
        && Kernel::on(&device) == Some(Kernel::Cpu)
        && !device.is_autodiff()
}

/// The arguments of a call, in one dtype, `f32` or `f64`.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Inputs<B: Backend> {
    pub input: FloatTensor<B>,  // [rows, k]
    pub weight: FloatTensor<B>, // [k, n]
    #[extension_type]
    pub bias: Maybe<B>, // [n]
}
tensors!(Inputs[3]: input, weight; maybe bias);

/// The result, `[rows, n]`.
#[derive(ExtensionType, Clone, Debug)]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>,
}
tensors!(Outputs[1]: output);

/// Products of few rows as backends with a kernel implement them.
#[backend_extension(Flex: cfg(feature = "flex"))]
pub(crate) trait FewRowsBackend: Backend {
    fn few_rows(#[extension_type] inputs: Inputs<Self>) -> Outputs<Self>;
}

pub(super) fn run(input: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    let bias = Maybe::new(bias.map(Tensor::into_dispatch));
    Tensor::from_dispatch(Dispatch::few_rows(Inputs { input, weight, bias }).output)
}
