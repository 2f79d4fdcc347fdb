//! The inner model as it goes from token to token, or from block to block.

use super::options::{InnerModel, TttState};
use crate::fast_weights::places::{Places, Rows};
use burn::tensor::Tensor;

/// The weights at the start of the chunk, and the sums of the gradients of its tokens so far.
pub(super) struct Fitting {
    pub model: InnerModel,
    pub sums: InnerModel,
}

impl Fitting {
    /// What follows `state`; where a chunk begins there are no sums, whatever the state says.
    pub fn of(state: TttState, places: &Places) -> Self {
        let mut fitting = Self { model: state.model, sums: state.gradients };
        fitting.clear(&places.begin(0, &state.position.device()));
        fitting
    }

    /// Returns the inner models of `rows` to `initial`, at the start of a chunk.
    pub fn reset(&mut self, rows: &Rows, initial: &InnerModel) {
        choose(rows, initial, &mut self.model);
        self.clear(rows);
    }

    /// Adds the gradients of tokens, `input ⊗ error` in every layer.
    pub fn add(&mut self, inputs: &[Tensor<4>], errors: &[Tensor<4>]) {
        for (layer, (input, error)) in inputs.iter().zip(errors).enumerate() {
            let (weights, biases) = (&mut self.sums.weights[layer], &mut self.sums.biases[layer]);
            *weights = weights.clone() + input.clone().swap_dims(2, 3).matmul(error.clone());
            *biases = biases.clone() + error.clone().sum_dim(2);
        }
    }

    /// Ends the chunk in `rows`, with the step of its last token, `[b, h, 1, 1]`.
    pub fn end(&mut self, rows: &Rows, step: &Tensor<4>) {
        if !matches!(rows, Rows::None) {
            let moved = |start: &[Tensor<4>], sums: &[Tensor<4>]| {
                let pairs = start.iter().zip(sums);
                pairs.map(|(start, sum)| start.clone() - sum.clone() * step.clone()).collect()
            };
            let moved = InnerModel {
                weights: moved(&self.model.weights, &self.sums.weights),
                biases: moved(&self.model.biases, &self.sums.biases),
            };
            choose(rows, &moved, &mut self.model);
            self.clear(rows);
        }
    }

    /// Begins new sums in `rows`.
    fn clear(&mut self, rows: &Rows) {
        if !matches!(rows, Rows::None) {
            choose(rows, &self.sums.zeros_like(), &mut self.sums);
        }
    }

    /// The state after the last token.
    pub fn state(self, places: &Places, position: &Tensor<1>, chunk: usize) -> TttState {
        TttState { model: self.model, gradients: self.sums, position: places.position(position), chunk }
    }
}

/// Puts `chosen` into `model` in these rows.
fn choose(rows: &Rows, chosen: &InnerModel, model: &mut InnerModel) {
    let take = |chosen: &[Tensor<4>], field: &mut Vec<_>| *field = rows.choose(chosen, std::mem::take(field));
    take(&chosen.weights, &mut model.weights);
    take(&chosen.biases, &mut model.biases);
}
