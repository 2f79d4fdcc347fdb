//! Tensors of Flex as slices, and vectors of numbers as tensors.

use super::lanes::Real;
use burn::backend::Element;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, Shape};

/// The elements of a contiguous tensor.
pub(crate) fn numbers<E: Real + Element>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice::<E>().expect("the tensors of a call are contiguous and share one dtype")
}

/// A tensor that holds `numbers`.
pub(crate) fn tensor<E: Real + Element>(numbers: Vec<E>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(shape), E::dtype())
}
