//! Resets as masks over states.

use burn::tensor::{Bool, Tensor};

/// `state` with zeros for the sequences that `resets`, `[b, t]`, clears before the token `t`.
pub(crate) fn cleared<const D: usize>(state: Tensor<D>, resets: &Tensor<2, Bool>, t: usize) -> Tensor<D> {
    let mut shape = [1; D];
    let dims = state.dims();
    shape[0] = dims[0];
    let mask = resets.clone().narrow(1, t, 1).reshape(shape);
    state.mask_fill(mask.expand(dims), 0.0)
}

/// `factors`, `[b, t, ..]`, with zeros for the tokens that begin a sequence.
pub(crate) fn cut<const D: usize>(factors: Tensor<D>, resets: &Tensor<2, Bool>) -> Tensor<D> {
    let mut shape = [1; D];
    let dims = factors.dims();
    (shape[0], shape[1]) = (dims[0], dims[1]);
    factors.mask_fill(resets.clone().reshape(shape).expand(dims), 0.0)
}
