//! The whole sequence at once, in runs of queries where there is more to it than Burn's own attention.

use super::decays::decays;
use super::masked::{Looked, masked};
use super::masks::{hidden, in_reach, parts};
use super::{AttentionState, Problem};
use crate::heads::repeat_heads;
use burn::tensor::{Tensor, activation::softmax, module, ops::AttentionModuleOptions};

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
