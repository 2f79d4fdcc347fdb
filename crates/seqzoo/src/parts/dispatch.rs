//! Tokens sorted by what they are sent to.

use super::Routing;
use crate::ops::to_dtype;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The tokens of a batch by destination, which is a memory or an expert: those that went to it, in their order. A token
/// stands there as often as it has destinations.
pub(crate) struct Dispatch {
    /// The destinations that some token went to.
    pub touched: Vec<usize>,
    /// How many tokens went to each of these.
    pub counts: Vec<usize>,
    /// The tokens, counted over the batch.
    order: Vec<usize>,
    /// For every token and destination of it, where it stands.
    places: Vec<usize>,
}

impl Dispatch {
    /// Of these [choices](Routing::by_destination), of which every token has `top_k`.
    pub fn new(choices: &[Vec<usize>], top_k: usize) -> Self {
        let total = choices.iter().map(Vec::len).sum();
        let (mut order, mut places) = (Vec::with_capacity(total), vec![0; total]);
        let (mut touched, mut counts) = (Vec::new(), Vec::new());
        for (destination, indices) in choices.iter().enumerate().filter(|(_, indices)| !indices.is_empty()) {
            touched.push(destination);
            counts.push(indices.len());
            for index in indices {
                places[*index] = order.len();
                order.push(index / top_k);
            }
        }
        Self { touched, counts, order, places }
    }

    /// The tokens in their order, as indices of a batch `[B·T, ...]`.
    pub fn order(&self, device: &Device) -> Tensor<1, Int> {
        indices(&self.order, device)
    }

    /// What comes back for every token, `[B·T, C]`: the weighted sum of its destinations' parts, which are in the order
    /// of the dispatch, `[B·T·k, C]`.
    pub fn combine(&self, parts: Tensor<2>, routing: &Routing) -> Tensor<2> {
        let ([batch, time, top_k], [_, channels]) = (routing.weights.dims(), parts.dims());
        let weights = to_dtype(routing.weights.clone(), parts.dtype()).reshape([batch * time, top_k, 1]);
        let places = indices(&self.places, &parts.device());
        let parts = parts.select(0, places).reshape([batch * time, top_k, channels]);
        (parts * weights).sum_dim(1).squeeze_dim(1)
    }
}

fn indices(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|number| *number as i64).collect();
    Tensor::from_data(TensorData::from(numbers.as_slice()), device)
}
