//! Sums of log decays, from keys to queries.

use burn::tensor::{Bool, Tensor};
use std::ops::Range;

/// The sums of `log_decays`, `[b, s, h, 1]`, of the entries after each of `keys` up to each of `places`, `[b, h, t, s]`; zeros
/// for a later key. The keys reach from before the first place, or from it, to the last.
///
/// Every sum is of what lies between the two alone. A difference of longer sums would lose the digits of small log decays
/// after a strong one, and would be NaN after one that is infinite, or NaN and hidden.
pub(super) fn decays(log_decays: Tensor<4>, places: &Range<usize>, keys: &Range<usize>) -> Tensor<4> {
    let (first, count) = (places.start, places.len());
    let some = |from: usize, to: usize| log_decays.clone().narrow(1, from, to - from).permute([0, 2, 1, 3]);
    let own = some(first, places.end); // [b, h, t, 1]
    let [batch, heads, _, _] = own.dims();

    // From one place to another, `[b, h, t, t]`.
    let shape = [batch, heads, count, count];
    let not_after = Tensor::<2, Bool>::tril_mask([count, count], -1, &own.device());
    let among = own.clone().expand(shape).mask_fill(not_after.unsqueeze::<4>().expand(shape), 0.0).cumsum(2);
    if keys.start >= first {
        return among;
    }
    // From a key before the first place to that, and from there.
    let to_first = some(keys.start + 1, first + 1).flip([2]).cumsum(2).flip([2]).swap_dims(2, 3); // [b, h, 1, s]
    let from_first = among.clone().narrow(3, 0, 1); // [b, h, t, 1]
    let shape = [batch, heads, count, first - keys.start];
    Tensor::cat(vec![from_first.expand(shape) + to_first.expand(shape), among], 3)
}
