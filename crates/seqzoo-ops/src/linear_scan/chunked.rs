//! The chunk-parallel form: inside the chunks all tokens at once, then all states between chunks at once.

use super::problem::Problem;
use crate::scan::doubling::{Numbers, doubling};

pub(super) fn chunked<N: Numbers>(problem: Problem<N>, size: usize) -> (N, N) {
    let Problem { input, factor, mut state, resets, .. } = problem;
    let shape = [0, 1, 2].map(|axis| input.extent(axis));
    let [_, time, _] = shape;
    let mut factors = factor.repeated(&shape);
    if let Some(resets) = &resets {
        state = state.cleared(resets, 0); // a product with 0 would keep an infinite one
        factors = factors.cut(resets);
    }
    // Whole chunks, and then one with the tokens that are left.
    let whole = time - time % size;
    let mut states = Vec::with_capacity(2);
    for (from, length, size) in [(0, whole, size), (whole, time - whole, time - whole)] {
        if length > 0 {
            let (factors, inputs) = (factors.slice(1, from, length), input.slice(1, from, length));
            let part = in_chunks(factors, inputs, state, size);
            state = part.slice(1, length - 1, 1);
            states.push(part);
        }
    }
    (N::join(states, 1), state)
}

/// The states, `[b, n size, d]`, of `n` chunks after `state`, `[b, 1, d]`.
fn in_chunks<N: Numbers>(factors: N, inputs: N, state: N, size: usize) -> N {
    let shape = [0, 1, 2].map(|axis| inputs.extent(axis));
    let [batch, time, channels] = shape;
    let chunks = time / size;
    let tokens = [batch * chunks, size, channels];
    let (products, local) = doubling(factors.shaped(&tokens), inputs.shaped(&tokens), 1);
    // What a chunk does to the state is one step: its product is the factor, its own last state the input.
    let step = |all: &N| all.slice(1, size - 1, 1).shaped(&[batch, chunks, channels]);
    let before = match chunks {
        1 => state,
        _ => {
            let (across, ends) = doubling(step(&products), step(&local), 1);
            let after = across.product(state.clone()).sum(ends);
            N::join(vec![state, after.slice(1, 0, chunks - 1)], 1).shaped(&[batch * chunks, 1, channels])
        }
    };
    products.product(before).sum(local).shaped(&shape)
}
