//! What every launch of a program needs.

use crate::kernel::tensors::Tensors;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::{
    CubeBackend, kernel::into_contiguous, ops::numeric::empty_device_contiguous_dtype, tensor::CubeTensor,
};
use cubecl::{calculate_cube_count_elemwise, prelude::*};

/// Units per cube of programs whose units do not meet.
pub(crate) const APART: u32 = 64;

/// Which way time runs through a program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Reverse,
}

/// A tensor on the device of `like`, with whatever its memory holds.
pub(crate) fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), Shape::new(shape), like.dtype)
}

/// An optional tensor for a program, which takes it always and leaves alone what is absent.
pub(crate) fn or_unread(tensor: Option<&CubeTensor>, like: &CubeTensor) -> CubeTensor {
    tensor.cloned().unwrap_or_else(|| empty(like, [1]))
}

/// A tensor to be overwritten: the same where nobody else holds it, a copy otherwise.
pub(crate) fn own(tensor: CubeTensor) -> CubeTensor {
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// The same tensors, contiguous.
pub(crate) fn contiguous<T: Tensors<CubeBackend, N>, const N: usize>(tensors: T) -> T {
    T::from_array(tensors.into_array().map(|tensor| tensor.map(into_contiguous)))
}

/// So many cubes, spread over the axes of the grid; a few more may run, and find nothing to do.
pub(crate) fn cubes(client: &Client, count: usize, units: u32) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(units);
    (calculate_cube_count_elemwise(client, count * units as usize, dim), dim)
}

/// Cubes of [`APART`] units for so many units.
pub(crate) fn units(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    cubes(client, count.div_ceil(APART as usize), APART)
}

pub(crate) fn scalar(like: &CubeTensor, number: f64) -> InputScalar {
    InputScalar::new(number, dtype_to_storage_type(like.dtype))
}
