//! Tensors that a pass is about to fill.

use super::rows::RowsMut;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::tensors::{numbers, tensor};
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, TensorMetadata};
use burn::tensor::Shape;
use std::mem::MaybeUninit;

/// A tensor in `P` parts, to be filled.
pub(super) struct Room<E, const P: usize> {
    parts: [Part<E>; P],
    shape: [usize; 3],
}

enum Part<E> {
    New(Box<[MaybeUninit<E>]>),
    Over(FlexTensor),
}

impl<E: Real + Element, const P: usize> Room<E, P> {
    pub fn new(shape: [usize; 3]) -> Self {
        Self { parts: std::array::from_fn(|_| Part::New(room(shape.iter().product()))), shape }
    }

    /// Over a contiguous tensor that nobody else holds: memory that the system has to give costs more than a pass. Or
    /// new, in the shape of a tensor that somebody holds, and is returned.
    pub fn over(mut tensors: [FlexTensor; P]) -> (Self, Option<[FlexTensor; P]>) {
        let shape: [usize; 3] = tensors[0].shape().dims();
        let length: usize = shape.iter().product();
        let whole = |part: &mut FlexTensor| {
            part.try_storage_mut::<E>().is_some_and(|numbers| numbers.len() == length)
        };
        if tensors.iter_mut().all(whole) {
            (Self { parts: tensors.map(Part::Over), shape }, None)
        } else {
            (Self::new(shape), Some(tensors))
        }
    }

    pub fn rows(&mut self) -> RowsMut<'_, E, P> {
        let parts = self.parts.each_mut().map(|part| match part {
            Part::New(room) => Output::new(room),
            Part::Over(tensor) => {
                let numbers = tensor.try_storage_mut::<E>().expect("nobody else holds the tensor");
                // SAFETY: an `Output` writes whole numbers alone, so they stay initialised.
                Output::new(unsafe { &mut *(std::ptr::from_mut(numbers) as *mut [MaybeUninit<E>]) })
            }
        });
        RowsMut { parts, stride: self.shape[2] }
    }

    /// # Safety
    ///
    /// Every element must have been written.
    pub unsafe fn filled(self) -> [FlexTensor; P] {
        self.parts.map(|part| match part {
            // SAFETY: as the caller promises.
            Part::New(room) => tensor(unsafe { filled(room) }, Shape::new(self.shape)),
            Part::Over(tensor) => tensor,
        })
    }

    /// The sums over the sequences, `[1, 1, d]`.
    ///
    /// # Safety
    ///
    /// As for [`filled`](Self::filled).
    pub unsafe fn summed(self) -> [FlexTensor; P] {
        let channels = self.shape[2];
        // SAFETY: as the caller promises.
        let parts = unsafe { self.filled() };
        parts.map(|part| {
            let mut sums = vec![E::default(); channels];
            for row in numbers::<E>(&part).chunks_exact(channels) {
                for (sum, number) in sums.iter_mut().zip(row) {
                    *sum += *number;
                }
            }
            tensor(sums, Shape::new([1, 1, channels]))
        })
    }
}
