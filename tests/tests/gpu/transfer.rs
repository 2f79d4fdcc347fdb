//! The same numbers on another device, in another precision.

use crate::case::Case;
use burn::tensor::{DType, Device, Tensor, TensorData};
use seqzoo::ops::linear_attention::{Decay, LinearAttentionState};

/// The device under test, recording gradients.
pub fn gpu() -> Device {
    Device::wgpu(Default::default()).autodiff()
}

/// The floats of `tensor`, on `device`.
pub fn floats<const D: usize>(tensor: &Tensor<D>, device: &Device, dtype: DType) -> Tensor<D> {
    let data: TensorData = tensor.to_data();
    Tensor::from_data(data, (device, dtype))
}

fn state(state: &LinearAttentionState, device: &Device, dtype: DType) -> LinearAttentionState {
    LinearAttentionState {
        memory: floats(&state.memory, device, dtype),
        key_sum: state.key_sum.as_ref().map(|sum| floats(sum, device, dtype)),
    }
}

/// All tensors of `case`, on `device`.
pub fn case(case: &Case, device: &Device, dtype: DType) -> Case {
    Case {
        query: floats(&case.query, device, dtype),
        key: floats(&case.key, device, dtype),
        value: floats(&case.value, device, dtype),
        decay: match &case.decay {
            Decay::None => Decay::None,
            Decay::PerHead(log) => Decay::PerHead(floats(log, device, dtype)),
            Decay::Scalar(log) => Decay::Scalar(floats(log, device, dtype)),
            Decay::Vector(log) => Decay::Vector(floats(log, device, dtype)),
        },
        state: case.state.as_ref().map(|x| state(x, device, dtype)),
        resets: case.resets.as_ref().map(|resets| Tensor::from_data(resets.to_data(), device)),
        scale: case.scale,
        normaliser: case.normaliser,
        output_cotangent: floats(&case.output_cotangent, device, dtype),
        memory_cotangent: floats(&case.memory_cotangent, device, dtype),
        key_sum_cotangent: case.key_sum_cotangent.as_ref().map(|x| floats(x, device, dtype)),
    }
}
