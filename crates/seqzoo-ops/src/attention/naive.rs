//! The law: each token attends to what is visible from it.

use super::masked::masked;
use super::{AttentionState, Prefix, Problem};
use burn::tensor::{Bool, Tensor};

pub(super) fn naive(problem: Problem) -> (Tensor<4>, AttentionState) {
    let Problem { query, key, value, cache, scale, window, prefix, resets } = problem;
    let [batch, time, _, _] = query.dims();
    let mut cache = cache;
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let own = Tensor::<2, Bool>::full([batch, 1], true, &query.device());
        let token = AttentionState {
            keys: key.clone().narrow(1, t, 1).into(),
            values: value.clone().narrow(1, t, 1).into(),
            visible: Some(own.clone()),
        };
        let seen = match cache {
            None => token,
            Some(past) => {
                let length = past.length();
                let mut visible = past.visible.unwrap_or_else(|| own.clone().expand([batch, length]));
                if let Some(resets) = &resets {
                    let kept = resets.clone().narrow(1, t, 1).bool_not().expand([batch, length]);
                    visible = visible.bool_and(kept);
                }
                AttentionState {
                    keys: past.keys.append(token.keys.tensor()),
                    values: past.values.append(token.values.tensor()),
                    visible: Some(Tensor::cat(vec![visible, own.clone()], 1)),
                }
            }
        };
        let seen = match window {
            Some(window) => seen.trimmed(Some(window.saturating_add(1))),
            None => seen,
        };
        let visible = seen.visible.clone().unwrap_or_else(|| own.clone().expand([batch, seen.length()]));
        let hidden = visible.bool_not().unsqueeze_dims::<4>(&[1, 2]); // [b, 1, 1, s]
        let token = query.clone().narrow(1, t, 1).swap_dims(1, 2);
        let prefix = prefix.clone().map(|prefix| {
            let asking = prefix.query.map(|query| query.narrow(1, t, 1));
            Prefix { query: asking, ..prefix }
        });
        outputs.push(masked(token, &seen, hidden, prefix.as_ref(), scale).swap_dims(1, 2)); // [b, 1, h, v]
        cache = Some(seen.trimmed(window));
    }
    (Tensor::cat(outputs, 1), cache.expect("the time axis is not empty"))
}
