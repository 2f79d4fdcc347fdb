//! Tensors that a pass fills.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::tensors::tensor;
use burn::backend::Element;
use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use std::mem::MaybeUninit;

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

    /// For a tensor of `shape` of which some may stay as they are: zeros.
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        let mut new = Self::new(shape);
        new.room.fill(MaybeUninit::new(E::default()));
        new
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
