//! Attention to a part of the keys, of which the rest does not count whatever it is.

use super::{AttentionState, Prefix};
use crate::heads::repeat_heads;
use burn::tensor::{Bool, Tensor, activation::softmax};

/// Stands for minus infinity, whose literal some shader languages refuse.
const HIDDEN: f64 = -1e30;

/// Attention of `query`, `[b, h, t, k]`, to the prefix and to the entries of `seen` that are not `hidden`,
/// `[b|1, 1, t, s]`; `[b, h, t, v]`.
///
/// A weight of zero does not hide a value that is NaN or infinite, in the output or in a gradient. So what is not finite
/// counts as zero, and an output that sees it is NaN.
pub(super) fn masked(
    query: Tensor<4>,
    seen: &AttentionState,
    hidden: Tensor<4, Bool>,
    prefix: Option<&Prefix>,
    scale: f64,
) -> Tensor<4> {
    let heads = query.dims()[1];
    let (keys, wild_keys) = tamed(seen.keys.tensor());
    let (values, wild_values) = tamed(seen.values.tensor());
    let wild = wild_keys.bool_or(wild_values); // [b, s, hk, 1]
    let heads_first = |x: Tensor<4>| repeat_heads(x, heads).swap_dims(1, 2); // [b, h, s, _]

    let scores = query.clone().matmul(heads_first(keys).swap_dims(2, 3)).mul_scalar(scale); // [b, h, t, s]
    let scores = scores.clone().mask_fill(hidden.clone().expand(scores.dims()), HIDDEN);
    let values = heads_first(values);
    let output = match prefix {
        None => softmax(scores, 3).matmul(values),
        Some(Prefix { query: asking, keys, values: learned }) => {
            let asking = asking.clone().map_or(query, |asking| asking.swap_dims(1, 2));
            let for_all = |x: Tensor<4>| {
                let [_, heads, length, channels] = x.dims();
                x.expand([scores.dims()[0], heads, length, channels])
            };
            let keys = for_all(heads_first(keys.clone()).swap_dims(2, 3));
            let to_prefix = asking.matmul(keys).mul_scalar(scale); // [b, h, t, p]
            let values = Tensor::cat(vec![for_all(heads_first(learned.clone())), values], 2);
            softmax(Tensor::cat(vec![to_prefix, scores], 3), 3).matmul(values)
        }
    };

    let poison = hidden.bool_not().float().matmul(heads_first(wild.float())); // [b, h, t, 1]
    output.clone().mask_fill(poison.greater_scalar(0.0).expand(output.dims()), f64::NAN)
}

/// Entries with zeros for what is not finite, and where there is any: `[b, s, hk, 1]`.
pub(super) fn tamed(entries: Tensor<4>) -> (Tensor<4>, Tensor<4, Bool>) {
    let wild = entries.clone().is_finite().bool_not();
    (entries.mask_fill(wild.clone(), 0.0), wild.any_dim(3))
}
