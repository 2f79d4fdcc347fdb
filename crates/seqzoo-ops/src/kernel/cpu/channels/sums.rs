//! Gradients of what the sequences of a batch share: each had its own, and here they are added, always in the same order.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::tensors::{numbers, tensor};
use burn::backend::Element;
use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;

/// The sum over sequences, of the `shape` of one.
pub(crate) fn over_batch<E: Real + Element>(each: &FlexTensor, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    let mut sums = vec![E::default(); shape.num_elements()];
    for one in numbers::<E>(each).chunks_exact(sums.len()) {
        add(&mut sums, one);
    }
    tensor(sums, shape)
}

/// Adds numbers to sums.
pub(crate) fn add<E: Real>(sums: &mut [E], numbers: &[E]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += *number;
    }
}
