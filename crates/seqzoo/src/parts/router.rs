//! Which of several memories or experts every token goes to.

use super::{ProjectionInit, project, projection};
use crate::ops::{accumulator, to_dtype};
use crate::state::{StateField, StateMapper};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData, activation::softmax};

/// Sends every token to the `k` of `M` destinations that it likes best. A destination is a memory or an expert.
///
/// ```text
/// p = softmax(W x)        the k destinations with the largest p        w = p of these, divided by their sum or as it is
/// ```
///
/// Of destinations that a token likes equally the first ones are taken. The choice has no gradient; the weights have one. The
/// probabilities are computed in `f32` or wider, and read from the device in every call.
///
/// Source: Shazeer et al. 2017, <https://arxiv.org/abs/1701.06538> (sec. 2.1), without noise; the weights as in
/// Du et al. 2025, <https://arxiv.org/abs/2502.13685> (sec. 3.2).
#[derive(Module, Debug)]
pub struct Router {
    /// `D` to `M`.
    pub projection: Linear,
    top_k: usize,
    normalise: bool,
}

impl Router {
    /// For `destinations` of them, of which every token goes to `top_k`. The weights of these sum to 1.
    pub(crate) fn new(
        d_model: usize,
        destinations: usize,
        top_k: usize,
        init: ProjectionInit,
        device: &Device,
    ) -> Self {
        Self { projection: projection(d_model, destinations, init, device), top_k, normalise: true }
    }

    /// The same, with weights that sum to 1 or are the probabilities as they are.
    pub(crate) fn normalised(self, normalise: bool) -> Self {
        Self { normalise, ..self }
    }

    /// The number of destinations, `M`.
    pub fn destinations(&self) -> usize {
        self.projection.weight.lazy_shape()[1]
    }

    /// Where tokens `[B, T, D]` go.
    pub fn forward(&self, input: Tensor<3>) -> Routing {
        let logits = project(&self.projection, input);
        let wide = accumulator(logits.dtype());
        let probabilities = softmax(to_dtype(logits, wide), 2);
        let [batch, time, count] = probabilities.dims();
        let read: Vec<f64> = probabilities.to_data().convert::<f64>().iter().collect();
        let chosen = read.chunks_exact(count).flat_map(|likes| best(likes, self.top_k));
        let chosen: Vec<usize> = chosen.collect();

        let places: Vec<i64> = (0..chosen.len())
            .zip(&chosen)
            .map(|(index, destination)| (index / self.top_k * count + destination) as i64)
            .collect();
        let places =
            Tensor::<1, Int>::from_data(TensorData::from(places.as_slice()), &probabilities.device());
        let liked = probabilities.clone().reshape([batch * time * count]).select(0, places);
        let liked = liked.reshape([batch, time, self.top_k]);
        let weights = if self.normalise { liked.clone() / liked.sum_dim(2) } else { liked };
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
    /// How much every token likes every destination, `[B, T, M]`.
    pub probabilities: Tensor<3>,
    /// The weights of the destinations of every token, `[B, T, k]`.
    pub weights: Tensor<3>,
    /// The numbers of these destinations, token by token, the one that it likes best first.
    pub chosen: Vec<usize>,
}

impl Routing {
    /// How many destinations a token has, `k`.
    pub fn top_k(&self) -> usize {
        self.weights.dims()[2]
    }

    /// The tokens that went to every destination.
    pub fn loads(&self) -> Vec<usize> {
        let mut loads = vec![0; self.probabilities.dims()[2]];
        self.chosen.iter().for_each(|destination| loads[*destination] += 1);
        loads
    }

    /// For every destination the places in [`chosen`](Self::chosen) where it stands, in order.
    pub(crate) fn by_destination(&self) -> Vec<Vec<usize>> {
        let mut places = vec![Vec::new(); self.probabilities.dims()[2]];
        self.chosen.iter().enumerate().for_each(|(place, destination)| places[*destination].push(place));
        places
    }

    /// What remains of it where the tokens are forgotten. There are some.
    pub fn load(&self) -> RoutingLoad {
        let [batch, time, count] = self.probabilities.dims();
        let tokens = batch * time;
        let mean = self.probabilities.clone().reshape([tokens, count]).mean_dim(0).reshape([count]);
        RoutingLoad { counts: self.loads(), tokens, mean }
    }

    /// The load-balancing loss of the call, see [`RoutingLoad::balance_loss`].
    pub fn balance_loss(&self) -> Tensor<1> {
        self.load().balance_loss()
    }
}

/// How evenly the tokens of a call went to their destinations.
#[derive(Clone, Debug)]
pub struct RoutingLoad {
    /// The tokens that went to every destination.
    pub counts: Vec<usize>,
    /// How many tokens there were.
    pub tokens: usize,
    /// How much they like every destination, on average: `[M]`.
    pub mean: Tensor<1>,
}

impl RoutingLoad {
    /// The load-balancing loss of the Switch Transformer, `[1]`: `k` where all destinations are used equally, and up to `M`
    /// where all tokens go to the same ones.
    ///
    /// ```text
    /// M Σ_e f_e P_e        f_e = tokens that went to e / tokens        P_e = mean of p_e over tokens
    /// ```
    ///
    /// Source: Fedus et al. 2021, <https://arxiv.org/abs/2101.03961> (eq. 4 to 6).
    pub fn balance_loss(&self) -> Tensor<1> {
        let fractions = self.counts.iter().map(|count| *count as f64 / self.tokens as f64);
        let fractions: Vec<f64> = fractions.collect();
        let place = (&self.mean.device(), self.mean.dtype());
        let fractions = Tensor::<1>::from_data(TensorData::from(fractions.as_slice()), place);
        (self.mean.clone() * fractions).sum().mul_scalar(self.counts.len() as f64)
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
    fn the_first_of_equal_destinations_are_taken() {
        assert_eq!(best(&[0.2, 0.3, 0.2, 0.3], 3), [1, 3, 0]);
        assert_eq!(best(&[0.25; 4], 2), [0, 1]);
        assert_eq!(best(&[f64::NAN, 0.0, 1.0], 2), [2, 1]);
    }
}
