//! The memory as it goes from token to token, or from block to block.

use super::options::NeuralMemoryState;
use super::places::{Places, Rows};
use super::surprise::Surprise;
use burn::tensor::Tensor;

/// Weights, momentum, and the weights at the start of the chunk, `[b, h, in, out]` for every layer.
pub(super) struct Memory {
    pub weights: Vec<Tensor<4>>,
    pub momentum: Vec<Tensor<4>>,
    pub start: Vec<Tensor<4>>,
}

impl Memory {
    pub fn of(state: NeuralMemoryState) -> Self {
        Self { weights: state.weights, momentum: state.momentum, start: state.start }
    }

    /// Returns the memories of `rows` to `initial`.
    pub fn reset(&mut self, rows: &Rows, initial: &[Tensor<4>]) {
        let take = |field: &mut Vec<_>, chosen: &[Tensor<4>]| {
            *field = rows.choose(chosen, std::mem::take(field));
        };
        take(&mut self.weights, initial);
        if !matches!(rows, Rows::None) {
            let zeros: Vec<_> = initial.iter().map(Tensor::zeros_like).collect();
            take(&mut self.momentum, &zeros);
        }
    }

    /// Begins a chunk in `rows`.
    pub fn begin(&mut self, rows: &Rows) {
        self.start = rows.choose(&self.weights, std::mem::take(&mut self.start));
    }

    /// The state after the last token.
    pub fn state(
        mut self,
        places: &Places,
        position: &Tensor<1>,
        chunk: usize,
        surprise: Option<Surprise>,
    ) -> NeuralMemoryState {
        self.begin(&places.begin_next(&position.device()));
        NeuralMemoryState {
            weights: self.weights,
            momentum: self.momentum,
            start: self.start,
            position: places.position(position),
            chunk,
            surprise,
        }
    }
}
