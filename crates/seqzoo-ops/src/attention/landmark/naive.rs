//! The law: each token shares its attention between its own block and the landmarks before it.

use super::softmax::masked_softmax;
use super::wild::{poisoned, tamed};
use super::{LandmarkState, Problem};
use crate::heads::repeat_heads;
use burn::tensor::{Bool, Tensor};

pub(super) fn naive(problem: Problem) -> (Tensor<4>, LandmarkState) {
    let Problem { query, key, value, landmarks, mut cache, scale, resets } = problem;
    let [_, time, heads, _] = query.dims();
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let token = |x: &Tensor<4>| x.clone().narrow(1, t, 1);
        let flag = |x: &Tensor<2, Bool>| x.clone().narrow(1, t, 1);
        let (landmark, reset) = (flag(&landmarks), resets.as_ref().map(flag));
        let seen = LandmarkState::step(cache, token(&key), token(&value), landmark, reset);
        outputs.push(read(token(&query).swap_dims(1, 2), &seen, scale, heads).swap_dims(1, 2));
        cache = Some(seen);
    }
    (Tensor::cat(outputs, 1), cache.expect("the time axis is not empty"))
}

/// What the newest of `s` tokens reads, `[b, h, 1, v]`: from its query, `[b, h, 1, k]`.
fn read(query: Tensor<4>, seen: &LandmarkState, scale: f64, heads: usize) -> Tensor<4> {
    let [batch, length] = seen.landmarks.dims();
    let is = |mask: Tensor<2, Bool>| mask.unsqueeze_dims::<4>(&[1, 2]); // [b, 1, 1, s]
    let keep =
        |x: Tensor<4>, of: Tensor<2, Bool>| x.clone().mask_fill(is(of).bool_not().expand(x.dims()), 0.0);
    let heads_first = |x: Tensor<4>| repeat_heads(x, heads).swap_dims(1, 2); // [b, h, s, _]
    let (keys, wild_keys) = tamed(seen.keys.tensor());
    let (values, wild_values) = tamed(seen.values.tensor());
    let scores = query.matmul(heads_first(keys).swap_dims(2, 3)).mul_scalar(scale); // [b, h, 1, s]

    let visible = seen.visible.clone().expect("a step says what is visible");
    let ordinary = seen.landmarks.clone().bool_not().bool_and(visible.clone());
    let count = seen.landmarks.clone().int();
    let block = count.clone().cumsum(1) - count; // the landmarks before each token
    let own = block.clone().narrow(1, length - 1, 1);
    let blocks = own.clone().max().into_scalar::<i64>();
    let own = own.expand([batch, length]);
    let current = ordinary.clone().bool_and(block.clone().equal(own.clone()));
    let earlier = seen.landmarks.clone().bool_and(visible).bool_and(block.clone().lower(own));

    let top = masked_softmax(scores.clone(), is(current.clone().bool_or(earlier.clone()).bool_not()));
    let weights = (0..blocks).fold(keep(top.clone(), current), |weights, number| {
        let here = block.clone().equal_scalar(number);
        let inside = masked_softmax(scores.clone(), is(ordinary.clone().bool_and(here.clone()).bool_not()));
        weights + inside * keep(top.clone(), earlier.clone().bool_and(here)).sum_dim(3)
    });
    let output = weights.matmul(heads_first(values));
    let output = poisoned(output, is(ordinary.clone().bool_or(earlier)), wild_keys.swap_dims(1, 2));
    poisoned(output, is(ordinary), wild_values.swap_dims(1, 2))
}
