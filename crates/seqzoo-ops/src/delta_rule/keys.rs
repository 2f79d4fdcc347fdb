//! The length of keys.

use super::options::Keys;
use crate::form::Form;
use crate::heads::repeat_heads;
use crate::kernel::reads_without_waiting;
use crate::token_wise::rms_norm::unit_length;
use burn::tensor::Tensor;

/// The largest that `β ‖k‖²` may be: 2, and the rounding of keys that were normalised in a narrow dtype.
const MAX: f64 = 2.02;

/// Queries and keys, normalised where `keys` asks for it.
pub(super) fn prepare(keys: Keys, query: Tensor<4>, key: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    match keys {
        Keys::Bounded | Keys::Unbounded => (query, key),
        Keys::Normalise { epsilon } => {
            (unit_length(query, epsilon, Form::Auto), unit_length(key, epsilon, Form::Auto))
        }
    }
}

/// Refuses keys `[b, t, hk, k]` that are too long for `beta` `[b, t, h, _]`, on devices whose numbers can be read
/// without waiting. The kernels of these devices make the check themselves, before they begin.
#[track_caller]
pub(super) fn check(key: &Tensor<4>, beta: &Tensor<4>) {
    if !reads_without_waiting(&key.device()) {
        return;
    }
    let squares = repeat_heads(key.clone().detach().square().sum_dim(3), beta.dims()[2]); // [b, t, h, 1]
    let max: f64 = (squares * beta.clone().detach()).max().into_scalar();
    refuse(max);
}

/// Refuses keys of which `max` is the largest `β ‖k‖²`.
#[track_caller]
pub(super) fn refuse(max: f64) {
    assert!(
        max.is_nan() || max <= MAX,
        "The argument `key` has a token with beta · |key|² = {max:.3}, but at most 2 is wanted, beyond which the \
         memory grows without bound; normalise the keys (`Keys::Normalise`), or ask for `Keys::Unbounded`."
    );
}
