//! The whole sequence at once, in runs of queries where there is more to it than Burn's own attention.

use super::masked::{Looked, masked};
use super::masks::{hidden, in_reach, parts};
use super::{AttentionState, Problem};
use crate::heads::repeat_heads;
use burn::tensor::{Tensor, activation::softmax, module, ops::AttentionModuleOptions};
use std::ops::Range;

/// The queries whose scores are made together.
const QUERIES: usize = 256;

pub(super) fn parallel(problem: &Problem, seen: &AttentionState) -> Tensor<4> {
    let [_, time, heads, _] = problem.query.dims();
    let cached = problem.cached;
    let parts = parts(problem);
    let plain = problem.prefix.is_none()
        && problem.sinks.is_none()
        && problem.log_decay.is_none()
        && parts.is_none()
        && problem.window.is_none_or(|window| window >= cached + time);
    if plain && (cached == 0 || time == 1) {
        let heads_first = |x: Tensor<4>| repeat_heads(x, heads).swap_dims(1, 2);
        let (keys, values) = (heads_first(seen.keys.tensor()), heads_first(seen.values.tensor()));
        let query = problem.query.clone().swap_dims(1, 2); // [b, h, t, k]
        let output = if cached == 0 {
            let options = AttentionModuleOptions {
                scale: Some(problem.scale),
                is_causal: !problem.bidirectional,
                ..Default::default()
            };
            module::attention(query, keys, values, None, None, options)
        } else {
            softmax(query.matmul(keys.swap_dims(2, 3)).mul_scalar(problem.scale), 3).matmul(values)
        };
        return output.swap_dims(1, 2);
    }
    let runs = (0..time).step_by(QUERIES).map(|from| {
        let tokens = from..time.min(from + QUERIES);
        let places = cached + tokens.start..cached + tokens.end;
        let keys = in_reach(problem, &places);
        let some = |entries: Tensor<4>| entries.narrow(1, keys.start, keys.len());
        let bias = seen.log_decays.as_ref().map(|log_decays| decays(log_decays.tensor(), &places, &keys));
        let looked = Looked {
            keys: some(seen.keys.tensor()),
            values: some(seen.values.tensor()),
            hidden: hidden(problem, parts.as_ref(), &places, &keys),
            bias,
            tokens: &tokens,
        };
        masked(problem, looked)
    });
    Tensor::cat(runs.collect(), 2).swap_dims(1, 2)
}

/// The sums of `log_decays`, `[b, s, h, 1]`, of the entries after each of `keys` up to each of `places`, `[b, h, t, s]`.
///
/// Both count from the first place, which most of the keys that matter are near to: a difference of sums from the beginning
/// would have lost the digits of small ones.
fn decays(log_decays: Tensor<4>, places: &Range<usize>, keys: &Range<usize>) -> Tensor<4> {
    let first = places.start;
    let to_places = log_decays.clone().narrow(1, first, places.len());
    let to_places = to_places.clone().cumsum(1) - to_places.narrow(1, 0, 1); // [b, t, h, 1]
    // Of keys before the first place what lies between, of others what lies between it and them.
    let before = (keys.start < first).then(|| {
        let between = log_decays.clone().narrow(1, keys.start + 1, first - keys.start);
        between.flip([1]).cumsum(1).flip([1])
    });
    let behind = keys.end.saturating_sub(first);
    let behind = (behind > 0).then(|| {
        let all = log_decays.narrow(1, first, behind);
        -(all.clone().cumsum(1) - all.narrow(1, 0, 1))
    });
    let to_keys = Tensor::cat([before, behind].into_iter().flatten().collect(), 1); // [b, s, h, 1]
    let [batch, _, heads, _] = to_keys.dims();
    let shape = [batch, heads, places.len(), keys.len()];
    to_places.permute([0, 2, 1, 3]).expand(shape) + to_keys.permute([0, 2, 3, 1]).expand(shape)
}
