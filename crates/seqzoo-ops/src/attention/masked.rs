//! Attention to a part of the keys, of which the rest does not count whatever it is.

use super::{Prefix, Problem};
use crate::heads::repeat_heads;
use burn::tensor::{Bool, Tensor, activation::softmax};
use std::ops::Range;

/// Stands for minus infinity, whose literal some shader languages refuse.
const HIDDEN: f64 = -1e30;

/// Keys and values that some queries look at.
pub(super) struct Looked<'a> {
    pub keys: Tensor<4>,         // [b, s, hk, k]
    pub values: Tensor<4>,       // [b, s, hk, v]
    pub hidden: Tensor<4, Bool>, // [b|1, 1, t, s]
    /// What is added to the scores, `[b, h, t, s]`.
    pub bias: Option<Tensor<4>>,
    /// The queries' places among the tokens.
    pub tokens: &'a Range<usize>,
}

/// What `tokens` read of the prefix, and of the keys and values that are not hidden; `[b, h, t, v]`.
///
/// A weight of zero does not hide a value that is NaN or infinite, in the output or in a gradient. So what is not finite
/// counts as zero, and an output that sees it is NaN.
pub(super) fn masked(problem: &Problem, looked: Looked<'_>) -> Tensor<4> {
    let Looked { keys, values, hidden, bias, tokens } = looked;
    let [batch, _, heads, _] = problem.query.dims();
    let scale = problem.scale;
    let of_tokens = |x: &Tensor<4>| x.clone().narrow(1, tokens.start, tokens.len()).swap_dims(1, 2);
    let heads_first = |x: Tensor<4>| repeat_heads(x, heads).swap_dims(1, 2); // [b, h, s, _]
    let query = of_tokens(&problem.query);
    let (keys, wild_keys) = tamed(keys);
    let (values, wild_values) = tamed(values);
    let wild = wild_keys.bool_or(wild_values); // [b, s, hk, 1]

    let scores = query.clone().matmul(heads_first(keys).swap_dims(2, 3)).mul_scalar(scale); // [b, h, t, s]
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let scores = scores.clone().mask_fill(hidden.clone().expand(scores.dims()), HIDDEN);
    let (mut all, mut values) = (vec![scores], vec![heads_first(values)]);
    if let Some(Prefix { query: asking, keys, values: learned }) = &problem.prefix {
        let asking = asking.as_ref().map_or(query, of_tokens);
        let for_all = |x: Tensor<4>| {
            let [_, heads, length, channels] = x.dims();
            x.expand([batch, heads, length, channels])
        };
        let keys = for_all(heads_first(keys.clone()).swap_dims(2, 3));
        all.insert(0, asking.matmul(keys).mul_scalar(scale)); // [b, h, t, p]
        values.insert(0, for_all(heads_first(learned.clone())));
    }
    let read: usize = all.iter().map(|scores| scores.dims()[3]).sum();
    if let Some(sinks) = &problem.sinks {
        all.push(sinks.clone().reshape([1, heads, 1, 1]).expand([batch, heads, tokens.len(), 1]));
    }
    let weights = softmax(Tensor::cat(all, 3), 3).narrow(3, 0, read);
    let output = weights.matmul(Tensor::cat(values, 2));

    let poison = hidden.bool_not().float().matmul(heads_first(wild.float())); // [b, h, t, 1]
    output.clone().mask_fill(poison.greater_scalar(0.0).expand(output.dims()), f64::NAN)
}

/// Entries with zeros for what is not finite, and where there is any: `[b, s, hk, 1]`.
pub(super) fn tamed(entries: Tensor<4>) -> (Tensor<4>, Tensor<4, Bool>) {
    let wild = entries.clone().is_finite().bool_not();
    (entries.mask_fill(wild.clone(), 0.0), wild.any_dim(3))
}
