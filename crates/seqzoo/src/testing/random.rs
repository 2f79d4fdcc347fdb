//! Reproducible random tensors in `f64`.

use crate::MixerState;
use crate::state::{StateMapper, StatePart};
use crate::training::Random as Source;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

/// A source of random tensors; the same seed gives the same tensors.
pub(super) struct Random {
    source: Source,
    device: Device,
}

impl Random {
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { source: Source::new(seed), device: device.clone() }
    }

    /// Uniform in (-1, 1).
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.between(shape, -1.0)
    }

    /// Uniform in (low, 1).
    fn between<const D: usize>(&mut self, shape: [usize; D], low: f64) -> Tensor<D> {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| low + (1.0 - low) * self.source.unit()).collect();
        Tensor::from_data(TensorData::new(values, shape.to_vec()), (&self.device, DType::F64))
    }

    /// `state` with every tensor replaced by random numbers.
    pub fn state<S: MixerState>(&mut self, state: S) -> S {
        state.map_state(&mut Replace(self))
    }
}

struct Replace<'a>(&'a mut Random);

impl StateMapper for Replace<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        // These are sums of positive features and weights.
        let positive = name.ends_with("key_sum") || name.ends_with("weight_sum");
        let low = if positive { 0.1 } else { -1.0 };
        self.0.between(tensor.dims(), low)
    }

    fn places(&mut self, _: &str, places: Tensor<1>, _: usize) -> Tensor<1> {
        places
    }

    fn mask(&mut self, _: &str, mask: Option<Tensor<2, Bool>>) -> Option<Tensor<2, Bool>> {
        mask
    }
}

/// `state` with every tensor but places replaced by random `f64` numbers in (-1, 1) on `device`; in (0.1, 1) where a
/// tensor is called `key_sum` or `weight_sum`.
pub fn randomised<S: MixerState>(state: S, seed: u64, device: &Device) -> S {
    Random::new(seed, device).state(state)
}

/// Resets before the tokens `at`, in every row: `[batch, time]`.
pub fn flags(batch: usize, time: usize, at: &[usize], device: &Device) -> Tensor<2, Bool> {
    let row: Vec<bool> = (0..time).map(|t| at.contains(&t)).collect();
    Tensor::from_data(TensorData::new(row.repeat(batch), [batch, time]), device)
}
