//! The whole sequence at once.

use super::masked::masked;
use super::{AttentionState, Problem};
use crate::resets::reset_counts;
use burn::tensor::{Bool, Device, Int, Tensor, activation::softmax, module, ops::AttentionModuleOptions};

pub(super) fn parallel(problem: Problem) -> (Tensor<4>, AttentionState) {
    let Problem { query, key, value, cache, scale, window, prefix, resets } = problem;
    let [batch, time, heads, _] = query.dims();
    let cached = cache.as_ref().map_or(0, AttentionState::length);
    let device = query.device();

    let past_visible = cache.as_ref().and_then(|cache| cache.visible.clone());
    let seen = match cache {
        None => AttentionState { keys: key.into(), values: value.into(), visible: None },
        Some(past) => {
            AttentionState { keys: past.keys.append(key), values: past.values.append(value), visible: None }
        }
    };
    let query = query.swap_dims(1, 2); // [b, h, t, k]
    let segments = segments(past_visible, resets, batch, cached, time, &device);
    let all_in_reach =
        prefix.is_none() && segments.is_none() && window.is_none_or(|window| window >= cached + time);
    let output = if all_in_reach && cached == 0 {
        let (keys, values) = seen.heads_first(heads);
        let options = AttentionModuleOptions { scale: Some(scale), is_causal: true, ..Default::default() };
        module::attention(query, keys, values, None, None, options)
    } else if all_in_reach && time == 1 {
        let (keys, values) = seen.heads_first(heads);
        softmax(query.matmul(keys.swap_dims(2, 3)).mul_scalar(scale), 3).matmul(values)
    } else {
        let mut hidden = out_of_reach(cached, time, window, &device).unsqueeze::<4>();
        if let Some(segments) = &segments {
            let foreign = foreign(segments.clone(), cached, time).unsqueeze_dim::<4>(1);
            hidden = hidden.expand(foreign.dims()).bool_or(foreign);
        }
        masked(query, &seen, hidden, prefix.as_ref(), scale)
    };

    let visible = segments.map(|segments| {
        let last = segments.clone().narrow(1, cached + time - 1, 1).expand(segments.dims());
        segments.equal(last)
    });
    (output.swap_dims(1, 2), AttentionState { visible, ..seen }.trimmed(window))
}

/// True where key `j` is later than query `i` in time or beyond its window: `[t, s + t]`.
pub(super) fn out_of_reach(
    cached: usize,
    time: usize,
    window: Option<usize>,
    device: &Device,
) -> Tensor<2, Bool> {
    let rows = Tensor::<1, Int>::arange(cached as i64..(cached + time) as i64, device);
    let columns = Tensor::<1, Int>::arange(0..(cached + time) as i64, device);
    let shape = [time, cached + time];
    let rows = rows.unsqueeze_dim::<2>(1).expand(shape);
    let columns = columns.unsqueeze_dim::<2>(0).expand(shape);
    let future = columns.clone().greater(rows.clone());
    match window {
        // A window beyond the whole sequence hides nothing, and might not fit the device's integers.
        Some(window) if window < cached + time => {
            future.bool_or((rows - columns).greater_equal_scalar(window as i64))
        }
        _ => future,
    }
}

/// The segment of every cached and new token, `[b, s + t]`, or nothing where all see each other.
/// Cached tokens that an earlier reset has hidden are in segment -1.
pub(super) fn segments(
    past_visible: Option<Tensor<2, Bool>>,
    resets: Option<Tensor<2, Bool>>,
    batch: usize,
    cached: usize,
    time: usize,
    device: &Device,
) -> Option<Tensor<2, Int>> {
    if past_visible.is_none() && resets.is_none() {
        return None;
    }
    let new = match resets {
        Some(resets) => reset_counts(resets),
        None => Tensor::zeros([batch, time], device),
    };
    if cached == 0 {
        return Some(new);
    }
    let past = match past_visible {
        Some(visible) => visible.int() - 1,
        None => Tensor::zeros([batch, cached], device),
    };
    Some(Tensor::cat(vec![past, new], 1))
}

/// True where a key belongs to another segment than the query: `[b, t, s + t]`.
pub(super) fn foreign(segments: Tensor<2, Int>, cached: usize, time: usize) -> Tensor<3, Bool> {
    let [batch, length] = segments.dims();
    let queries = segments.clone().narrow(1, cached, time).unsqueeze_dim::<3>(2);
    queries
        .expand([batch, time, length])
        .not_equal(segments.unsqueeze_dim::<3>(1).expand([batch, time, length]))
}
