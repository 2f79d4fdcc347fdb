//! What is hidden from a run of queries.

use super::{AttentionState, Problem};
use crate::resets::reset_counts;
use burn::tensor::{Bool, Int, Tensor};
use std::ops::Range;

/// The keys, of the cache and the tokens, that some query at `places` may see.
pub(super) fn in_reach(problem: &Problem, places: &Range<usize>) -> Range<usize> {
    let length = problem.cached + problem.query.dims()[1];
    let window = problem.window.unwrap_or(usize::MAX);
    let ahead = if problem.bidirectional { window } else { 1 };
    places.start.saturating_add(1).saturating_sub(window)..(places.end - 1).saturating_add(ahead).min(length)
}

/// What is hidden of `keys` from the queries at `places`, `[b|1, 1, t, s]`; `parts` are those of [`parts`].
pub(super) fn hidden(
    problem: &Problem,
    parts: Option<&Tensor<2, Int>>,
    places: &Range<usize>,
    keys: &Range<usize>,
) -> Tensor<4, Bool> {
    let hidden = out_of_reach(problem, places, keys).unsqueeze::<4>();
    match parts {
        None => hidden,
        Some(parts) => {
            let foreign = foreign(parts, places, keys).unsqueeze_dim::<4>(1);
            hidden.expand(foreign.dims()).bool_or(foreign)
        }
    }
}

/// True where a key is not in reach of a query, `[t, s]`: later in time, or beyond the window.
fn out_of_reach(problem: &Problem, places: &Range<usize>, keys: &Range<usize>) -> Tensor<2, Bool> {
    let device = problem.query.device();
    let shape = [places.len(), keys.len()];
    let numbers =
        |range: &Range<usize>| Tensor::<1, Int>::arange(range.start as i64..range.end as i64, &device);
    let rows = numbers(places).unsqueeze_dim::<2>(1).expand(shape);
    let columns = numbers(keys).unsqueeze_dim::<2>(0).expand(shape);
    let behind = rows - columns; // how far the key lies before the query
    let longest = problem.cached + problem.query.dims()[1];
    // A window beyond the whole sequence hides nothing, and might not fit the device's integers.
    let window = problem.window.filter(|window| *window < longest).map(|window| window as i64);
    let early = window.map(|window| behind.clone().greater_equal_scalar(window));
    let late = match (problem.bidirectional, window) {
        (false, _) => Some(behind.lower_scalar(0)),
        (true, Some(window)) => Some(behind.lower_equal_scalar(-window)),
        (true, None) => None,
    };
    match (early, late) {
        (Some(early), Some(late)) => early.bool_or(late),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => Tensor::full(shape, false, &device),
    }
}

/// The part, between resets, of every cached and new token, `[b, s + t]`, or nothing where all see each other.
/// Cached tokens that an earlier reset has hidden are in part -1.
pub(super) fn parts(problem: &Problem) -> Option<Tensor<2, Int>> {
    let [batch, time, _, _] = problem.query.dims();
    let device = problem.query.device();
    if problem.visible.is_none() && problem.resets.is_none() {
        return None;
    }
    let new = match &problem.resets {
        Some(resets) => reset_counts(resets.clone()),
        None => Tensor::zeros([batch, time], &device),
    };
    let cached = problem.cached;
    if cached == 0 {
        return Some(new);
    }
    let past = match &problem.visible {
        Some(visible) => visible.clone().int() - 1,
        None => Tensor::zeros([batch, cached], &device),
    };
    Some(Tensor::cat(vec![past, new], 1))
}

/// True where a key belongs to another part than the query, `[b, t, s]`.
fn foreign(parts: &Tensor<2, Int>, places: &Range<usize>, keys: &Range<usize>) -> Tensor<3, Bool> {
    let shape = [parts.dims()[0], places.len(), keys.len()];
    let of = |range: &Range<usize>| parts.clone().narrow(1, range.start, range.len());
    let queries = of(places).unsqueeze_dim::<3>(2).expand(shape);
    queries.not_equal(of(keys).unsqueeze_dim::<3>(1).expand(shape))
}

impl Problem {
    /// The cache after the last token, from all that has been seen.
    pub(super) fn state(&self, seen: AttentionState) -> AttentionState {
        if self.query.dims()[0] == 0 {
            return AttentionState { visible: None, ..seen };
        }
        let visible = parts(self).map(|parts| {
            let length = parts.dims()[1];
            let last = parts.clone().narrow(1, length - 1, 1).expand(parts.dims());
            parts.equal(last)
        });
        let state = AttentionState { visible, ..seen }.trimmed(self.window);
        if self.resets.is_some() { state.without_hidden() } else { state }
    }
}
