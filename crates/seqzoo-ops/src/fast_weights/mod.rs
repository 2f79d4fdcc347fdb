//! What operators share whose state is the weights of a network that learns token by token: where tokens stand in their
//! chunks, which of them are worked on at once, and the pass through the network and back.

pub(crate) mod layers;
pub(crate) mod layout;
pub(crate) mod passing;
pub(crate) mod places;

use burn::tensor::Tensor;

/// `[b, h, in, out]` of weights that are those of `batch` sequences, or the same for all.
pub(crate) fn for_batch(weights: Tensor<4>, batch: usize) -> Tensor<4> {
    let [rows, heads, from, to] = weights.dims();
    match batch {
        _ if rows == batch => weights,
        0 => Tensor::zeros([0, heads, from, to], (&weights.device(), weights.dtype())), // `expand` refuses it
        _ => weights.expand([batch, heads, from, to]),
    }
}
