//! Exact accounting of what a state holds.

use super::{Mask, MixerState, StateMapper, StatePart};
use burn::tensor::Tensor;
use std::ops::Add;

/// Bytes of a state, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StateBytes {
    /// Recurrent memories: constant in the number of tokens.
    pub recurrent: usize,
    /// Caches of keys and values: growing with the tokens up to their window.
    pub cache: usize,
    /// Last inputs of convolutions: constant for short ones, growing up to their length for long ones.
    pub convolution: usize,
}

impl StateBytes {
    /// All bytes. Sums end at the largest number: counts may come from files.
    pub fn total(&self) -> usize {
        self.recurrent.saturating_add(self.cache).saturating_add(self.convolution)
    }
}

impl Add for StateBytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            recurrent: self.recurrent.saturating_add(other.recurrent),
            cache: self.cache.saturating_add(other.cache),
            convolution: self.convolution.saturating_add(other.convolution),
        }
    }
}

pub(super) fn count<S: MixerState>(state: &S) -> StateBytes {
    let mut count = Count(StateBytes::default());
    state.clone().map_state(&mut count);
    count.0
}

struct Count(StateBytes);

impl StateMapper for Count {
    fn tensor<const D: usize>(&mut self, _: &str, part: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        let bytes = tensor.dims().iter().product::<usize>() * tensor.dtype().size();
        match part {
            StatePart::Recurrent => self.0.recurrent += bytes,
            StatePart::Cache => self.0.cache += bytes,
            StatePart::Convolution => self.0.convolution += bytes,
        }
        tensor
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        self.0.cache += mask.as_ref().map_or(0, |mask| mask.dims().iter().product());
        mask
    }
}
