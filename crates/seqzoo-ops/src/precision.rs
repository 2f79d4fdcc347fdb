//! The accumulator rule: state and sums are `f32` or wider.

use burn::tensor::{DType, FloatDType, Tensor};

/// The dtype in which an operator accumulates and keeps its state for inputs of `dtype`:
/// `f64` for `f64`, `f32` for everything narrower.
pub fn accumulator(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// `tensor` in `dtype`; free where it already is. Operators widen their inputs to the accumulator's
/// dtype first and return their outputs in the inputs' dtype last.
pub fn to_dtype<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype { tensor } else { tensor.cast(FloatDType::from(dtype)) }
}
