//! The whole sequence at once, in runs of queries.

use super::layout::{Layout, Masks};
use super::softmax::masked_softmax;
use super::wild::{poisoned, tamed};
use super::{LandmarkState, Problem};
use burn::tensor::{Bool, Tensor};

/// The queries whose scores are in memory at the same time.
const QUERIES: usize = 128;

pub(super) fn parallel(problem: Problem) -> (Tensor<4>, LandmarkState) {
    let layout = Layout::new(&problem);
    let Problem { query, key, value, landmarks, cache, scale, .. } = problem;
    let cached = cache.as_ref().map_or(0, LandmarkState::length);
    let device = query.device();
    let seen = LandmarkState::after(cache, key, value, landmarks, layout.visible(&device));

    let (keys, values) = (seen.keys.tensor(), seen.values.tensor());
    let (keys, values, wild) = match layout.hides() {
        false => (keys, values, None),
        true => {
            let ((keys, wild_keys), (values, wild_values)) = (tamed(keys), tamed(values));
            (keys, values, Some(Wild::new(&layout, wild_keys, wild_values)))
        }
    };
    let landmark_keys = layout.landmarks(keys.clone());
    let (keys, values) = (layout.ordinary(keys), layout.ordinary(values));
    let [_, time, _, _] = query.dims();
    let query = query.swap_dims(1, 2).mul_scalar(scale); // [b, h, t, k]
    let outputs = (0..time).step_by(QUERIES).map(|from| {
        let length = QUERIES.min(time - from);
        let masks = layout.masks(from, length, cached, &device);
        let blocks = masks.blocks;
        let first = |x: &Tensor<4>, width: usize| x.clone().narrow(2, 0, blocks * width);
        let query = query.clone().narrow(2, from, length);
        let scores = product(query.clone(), first(&keys, layout.width).swap_dims(2, 3));
        let gates = product(query, first(&landmark_keys, 1).swap_dims(2, 3));
        let weights = weights(scores, gates, &masks, layout.width);
        let output = product(weights, first(&values, layout.width));
        match &wild {
            Some(wild) => wild.poison(output, &masks, layout.width),
            None => output,
        }
    });
    (Tensor::cat(outputs.collect(), 2).swap_dims(1, 2), seen)
}

/// What `c` queries read of all tokens, `[b, h, c, g·l]`: from the scores of the ordinary ones, of this shape, and those of
/// the landmarks, `[b, h, c, g]`.
fn weights(scores: Tensor<4>, gates: Tensor<4>, masks: &Masks, width: usize) -> Tensor<4> {
    let [batch, heads, queries, count] = scores.dims();
    let Masks { blocks, earlier, local, readable } = masks.clone();
    let hidden_tokens = local.bool_not().reshape([batch, 1, queries, count]);
    if blocks == 1 {
        return masked_softmax(scores, hidden_tokens);
    }
    let hidden_landmarks = earlier.bool_not().reshape([batch, 1, queries, blocks]);
    let top = masked_softmax(
        Tensor::cat(vec![gates, scores.clone()], 3),
        Tensor::cat(vec![hidden_landmarks, hidden_tokens], 3),
    );
    let gates = top.clone().narrow(3, 0, blocks).unsqueeze_dim::<5>(4); // [b, h, c, g, 1]
    let inside = scores.reshape([batch, heads, queries, blocks, width]);
    let inside = masked_softmax(inside, readable.bool_not().unsqueeze_dim::<5>(1)) * gates;
    top.narrow(3, blocks, count) + inside.reshape([batch, heads, queries, count])
}

/// Where keys and values are not finite, by blocks.
struct Wild {
    /// Of ordinary tokens, `[b, hk, g·l, 1]`.
    tokens: Tensor<4, Bool>,
    /// Of the keys of landmarks, `[b, hk, g, 1]`.
    landmarks: Tensor<4, Bool>,
}

impl Wild {
    fn new(layout: &Layout, keys: Tensor<4, Bool>, values: Tensor<4, Bool>) -> Self {
        let tokens = layout.ordinary(keys.clone().bool_or(values).float());
        let landmarks = layout.landmarks(keys.float());
        Self { tokens: tokens.greater_scalar(0.0), landmarks: landmarks.greater_scalar(0.0) }
    }

    /// `output`, `[b, h, c, v]`, with NaN where a query sees what is not finite.
    fn poison(&self, output: Tensor<4>, masks: &Masks, width: usize) -> Tensor<4> {
        let Masks { blocks, earlier, local, readable } = masks.clone();
        let [batch, _, queries, _] = output.dims();
        let wide = [batch, queries, blocks, width];
        let tokens = earlier.clone().expand(wide).bool_and(readable.expand(wide)).bool_or(local);
        let first = |wild: &Tensor<4, Bool>, count: usize| wild.clone().narrow(2, 0, count);
        let tokens = tokens.reshape([batch, 1, queries, blocks * width]);
        let output = poisoned(output, tokens, first(&self.tokens, blocks * width));
        poisoned(output, earlier.reshape([batch, 1, queries, blocks]), first(&self.landmarks, blocks))
    }
}

/// `[b, h, c, n]` times `[b, hk, n, m]`: `[b, h, c, m]`. Heads that share one are rows of it.
fn product(rows: Tensor<4>, columns: Tensor<4>) -> Tensor<4> {
    let [batch, heads, count, inner] = rows.dims();
    let [_, key_heads, _, outer] = columns.dims();
    rows.reshape([batch, key_heads, heads / key_heads * count, inner])
        .matmul(columns)
        .reshape([batch, heads, count, outer])
}
