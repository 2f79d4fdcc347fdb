//! Reproducible random inputs in `f64`.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The CPU device, recording gradients.
pub fn autodiff() -> Device {
    Device::flex().autodiff()
}

/// The CPU device.
pub fn plain() -> Device {
    Device::flex()
}

/// A source of random tensors.
pub struct Inputs {
    random: ChaCha8Rng,
    device: Device,
    dtype: DType,
}

impl Inputs {
    /// Tensors in `f64` on `device`; the same seed gives the same tensors.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), device: device.clone(), dtype: DType::F64 }
    }

    /// The same numbers, rounded to `f32`.
    pub fn single(seed: u64, device: &Device) -> Self {
        Self { dtype: DType::F32, ..Self::new(seed, device) }
    }

    /// Uniform in (-1, 1).
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.between(shape, -1.0, 1.0)
    }

    /// Uniform in (low, high).
    pub fn between<const D: usize>(&mut self, shape: [usize; D], low: f64, high: f64) -> Tensor<D> {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count)
            .map(|_| low + (high - low) * (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64)
            .collect();
        Tensor::from_data(TensorData::new(values, shape.to_vec()), (&self.device, self.dtype))
    }

    /// True with the probability given.
    pub fn flags(&mut self, shape: [usize; 2], probability: f64) -> Tensor<2, Bool> {
        self.between(shape, 0.0, 1.0).lower_scalar(probability)
    }
}

/// Resets at the positions listed, in every row: `[batch, time]`.
pub fn flags(batch: usize, time: usize, at: &[usize], device: &Device) -> Tensor<2, Bool> {
    let row: Vec<bool> = (0..time).map(|t| at.contains(&t)).collect();
    Tensor::from_data(TensorData::new(row.repeat(batch), [batch, time]), device)
}
