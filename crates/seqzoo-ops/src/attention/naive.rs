//! The law: each token attends to what is visible from it.

use super::masked::{Looked, masked};
use super::{AttentionState, Problem};
use burn::tensor::{Bool, Tensor, TensorData};

pub(super) fn naive(problem: &Problem, seen: &AttentionState) -> Tensor<4> {
    let [batch, time, _, _] = problem.query.dims();
    let device = problem.query.device();
    let cached = problem.cached;
    let length = cached + time;
    let flags = |tensor: &Tensor<2, Bool>| -> Vec<bool> { tensor.to_data().iter().collect() };
    let visible = problem.visible.as_ref().map(flags);
    let resets = problem.resets.as_ref().map(flags);
    let window = problem.window.unwrap_or(usize::MAX);

    let hidden = |row: usize, place: usize, key: usize| {
        let (first, last) = (key.min(place), key.max(place));
        let between = (first + 1).max(cached)..last + 1;
        let reset = resets
            .as_ref()
            .is_some_and(|resets| between.clone().any(|place| resets[row * time + place - cached]));
        let gone = key < cached && visible.as_ref().is_some_and(|visible| !visible[row * cached + key]);
        let out_of_reach = last - first >= window || (key > place && !problem.bidirectional);
        reset || gone || out_of_reach
    };
    let outputs = (0..time).map(|token| {
        let place = cached + token;
        let rows = (0..batch).flat_map(|row| (0..length).map(move |key| (row, key)));
        let flags: Vec<bool> = rows.map(|(row, key)| hidden(row, place, key)).collect();
        let bias = seen.log_decays.as_ref().map(|log_decays| decay_to(place, log_decays.tensor()));
        let looked = Looked {
            keys: seen.keys.tensor(),
            values: seen.values.tensor(),
            hidden: Tensor::from_data(TensorData::new(flags, [batch, 1, 1, length]), &device),
            bias,
            tokens: &(token..token + 1),
        };
        masked(problem, looked).swap_dims(1, 2) // [b, 1, h, v]
    });
    Tensor::cat(outputs.collect(), 1)
}

/// The sums of `log_decays`, `[b, s, h, 1]`, of the entries after each key up to the one at `place`, `[b, h, 1, s]`; zeros for
/// later keys.
fn decay_to(place: usize, log_decays: Tensor<4>) -> Tensor<4> {
    let length = log_decays.dims()[1];
    let after = |key: usize| match key < place {
        true => log_decays.clone().narrow(1, key + 1, place - key).sum_dim(1),
        false => log_decays.clone().narrow(1, key, 1).zeros_like(),
    };
    Tensor::cat((0..length).map(after).collect(), 1).permute([0, 2, 3, 1])
}
