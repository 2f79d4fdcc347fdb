//! The law: the recurrence, token by token.

use super::problem::Problem;
use crate::scan::doubling::Numbers;

pub(super) fn naive<N: Numbers>(problem: Problem<N>) -> (N, N) {
    let Problem { input, factor, mut state, resets, .. } = problem;
    let time = input.extent(1);
    let mut states = Vec::with_capacity(time);
    for t in 0..time {
        if let Some(resets) = &resets {
            state = state.cleared(resets, t);
        }
        let step = t.min(factor.extent(1) - 1); // a fixed factor is that of every token
        state = factor.slice(1, step, 1).product(state).sum(input.slice(1, t, 1));
        states.push(state.clone());
    }
    (N::join(states, 1), state)
}
