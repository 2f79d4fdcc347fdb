//! Which memories, of several, every token goes to.

use super::{ProjectionInit, project, projection};
use crate::ops::{accumulator, to_dtype};
use crate::state::{StateField, StateMapper};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Int, Tensor, TensorData, activation::softmax};

/// Sends every token to the `k` of `M` memories that it likes best.
///
/// ```text
/// p = softmax(W x)        the k memories with the largest p        w = p of these, divided by their sum
/// ```
///
/// Of memories that a token likes equally the first ones are taken. The choice has no gradient; the weights have one. The
/// probabilities are computed in `f32` or wider, and read from the device in every call.
///
/// Source: Shazeer et al. 2017, <https://arxiv.org/abs/1701.06538> (sec. 2.1), without noise; the weights as in
/// Du et al. 2025, <https://arxiv.org/abs/2502.13685> (sec. 3.2).
#[derive(Module, Debug)]
pub struct Router {
    /// `D` to `M`.
    pub projection: Linear,
    top_k: usize,
}

impl Router {
    /// For `memories` memories, of which every token goes to `top_k`.
    pub(crate) fn new(
        d_model: usize,
        memories: usize,
        top_k: usize,
        init: ProjectionInit,
        device: &burn::tensor::Device,
    ) -> Self {
        Self { projection: projection(d_model, memories, init, device), top_k }
    }

    /// The number of memories, `M`.
    pub fn memories(&self) -> usize {
        self.projection.weight.lazy_shape()[1]
    }

    /// Where tokens `[B, T, D]` go.
    pub fn forward(&self, input: Tensor<3>) -> Routing {
        let logits = project(&self.projection, input);
        let wide = accumulator(logits.dtype());
        let probabilities = softmax(to_dtype(logits, wide), 2);
        let [batch, time, memories] = probabilities.dims();
        let read: Vec<f64> = probabilities.to_data().convert::<f64>().iter().collect();
        let chosen = read.chunks_exact(memories).flat_map(|likes| best(likes, self.top_k));
        let chosen: Vec<usize> = chosen.collect();

        let places: Vec<i64> = (0..chosen.len())
            .zip(&chosen)
            .map(|(index, memory)| (index / self.top_k * memories + memory) as i64)
            .collect();
        let places =
            Tensor::<1, Int>::from_data(TensorData::from(places.as_slice()), &probabilities.device());
        let liked = probabilities.clone().reshape([batch * time * memories]).select(0, places);
        let liked = liked.reshape([batch, time, self.top_k]);
        let weights = liked.clone() / liked.sum_dim(2);
        Routing { probabilities, weights, chosen }
    }
}

/// The `count` largest of some numbers, the first of equal ones first; what is no number comes last.
fn best(numbers: &[f64], count: usize) -> Vec<usize> {
    let rank = |index: &usize| if numbers[*index].is_nan() { f64::NEG_INFINITY } else { numbers[*index] };
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|left, right| rank(right).total_cmp(&rank(left))); // stable
    order.truncate(count);
    order
}

/// Where the tokens of a call went.
#[derive(Clone, Debug)]
pub struct Routing {
    /// How much every token likes every memory, `[B, T, M]`.
    pub probabilities: Tensor<3>,
    /// The weights of the memories that every token goes to, `[B, T, k]`; they sum to 1.
    pub weights: Tensor<3>,
    /// The numbers of these memories, token by token, the one that it likes best first.
    pub chosen: Vec<usize>,
}

impl Routing {
    /// How many memories a token goes to, `k`.
    pub fn top_k(&self) -> usize {
        self.weights.dims()[2]
    }

    /// The tokens that went to every memory.
    pub fn loads(&self) -> Vec<usize> {
        let mut loads = vec![0; self.probabilities.dims()[2]];
        self.chosen.iter().for_each(|memory| loads[*memory] += 1);
        loads
    }

    /// The load-balancing loss of the Switch Transformer, `[1]`: `k` where all memories are used equally, and up to `M`
    /// where all tokens go to the same ones.
    ///
    /// ```text
    /// M Σ_e f_e P_e        f_e = tokens that went to e / tokens        P_e = mean of p_e over tokens
    /// ```
    ///
    /// Source: Fedus et al. 2021, <https://arxiv.org/abs/2101.03961> (eq. 4 to 6).
    pub fn balance_loss(&self) -> Tensor<1> {
        let [batch, time, memories] = self.probabilities.dims();
        let tokens = (batch * time) as f64;
        let fractions: Vec<f64> = self.loads().iter().map(|load| *load as f64 / tokens).collect();
        let mean = self.probabilities.clone().reshape([batch * time, memories]).mean_dim(0);
        let fractions =
            Tensor::<1>::from_data(TensorData::from(fractions.as_slice()), (&mean.device(), mean.dtype()));
        (mean.reshape([memories]) * fractions).sum().mul_scalar(memories as f64)
    }
}

/// No part of the state that later tokens depend on: it is not counted, saved, or kept where a state is changed.
impl StateField for Option<Routing> {
    fn map_field<M: StateMapper>(self, _: &str, _: &mut M) -> Self {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_memories_are_taken() {
        assert_eq!(best(&[0.2, 0.3, 0.2, 0.3], 3), [1, 3, 0]);
        assert_eq!(best(&[0.25; 4], 2), [0, 1]);
        assert_eq!(best(&[f64::NAN, 0.0, 1.0], 2), [2, 1]);
    }
}
