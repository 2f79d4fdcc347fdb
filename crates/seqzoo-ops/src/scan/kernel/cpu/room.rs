//! Tensors as slices, and tensors that a pass fills.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use burn::backend::Element;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, Shape};
use std::mem::MaybeUninit;

/// The elements of a contiguous tensor.
pub(crate) fn numbers<E: Real + Element>(tensor: &FlexTensor) -> &[E] {
    tensor.as_slice::<E>().expect("the tensors of a call are contiguous and share one dtype")
}

/// A tensor of these elements.
pub(crate) fn tensor<E: Real + Element>(numbers: Vec<E>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(shape), E::dtype())
}

/// A tensor that a pass is about to fill.
pub(crate) struct Room<E> {
    room: Box<[MaybeUninit<E>]>,
    shape: Shape,
}

impl<E: Real + Element> Room<E> {
    /// For a tensor of `shape`.
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { room: room(shape.num_elements()), shape }
    }

    pub fn output(&mut self) -> Output<'_, E> {
        Output::new(&mut self.room)
    }

    /// # Safety
    ///
    /// Every element must have been written.
    pub unsafe fn filled(self) -> FlexTensor {
        // SAFETY: as the caller promises.
        tensor(unsafe { filled(self.room) }, self.shape)
    }
}
