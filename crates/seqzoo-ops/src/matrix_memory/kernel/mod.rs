//! The common ground of the kernels.

#[cfg(feature = "flex")]
pub(crate) mod cpu;
#[cfg(feature = "cube")]
pub(crate) mod gpu;

use crate::kernel::tensors::tensors;
use burn::backend::{Backend, ExtensionType, tensor::FloatTensor};

/// The outputs of an operator.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Outputs<B: Backend> {
    pub output: FloatTensor<B>, // [b, t, h, v]
    pub memory: FloatTensor<B>, // [b, h, k, v] or [n, h, k, v], after the last token
}
tensors!(Outputs[2]: output, memory);
