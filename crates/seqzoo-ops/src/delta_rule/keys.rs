//! The length of keys.

use super::Keys;
use super::problem::Problem;
use crate::kernel::Kernel;
use burn::tensor::Tensor;

/// The most that `β ‖k‖²` may be: 2, and the rounding of keys that were normalised in a narrow dtype.
const MOST: f64 = 2.02;

/// Queries and keys as `keys` wants them.
pub(super) fn treat(keys: Keys, query: Tensor<4>, key: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    match keys {
        Keys::Bounded | Keys::Unbounded => (query, key),
        Keys::Normalise { epsilon } => (normalised(query, epsilon), normalised(key, epsilon)),
    }
}

fn normalised(tokens: Tensor<4>, epsilon: f64) -> Tensor<4> {
    let length = tokens.clone().square().sum_dim(3).add_scalar(epsilon).sqrt();
    tokens / length
}

/// Refuses keys that are too long, where the device is the CPU, on which a look at them waits for nothing.
#[track_caller]
pub(super) fn check(problem: &Problem) {
    let Problem { key, beta, bounded, .. } = problem;
    if *bounded && Kernel::of(&key.device()) == Some(Kernel::Cpu) {
        let squares = key.clone().detach().square().sum_dim(3); // [b, t, h, 1]
        refuse((squares * beta.clone().detach()).max().into_scalar());
    }
}

/// Refuses keys of which `most` is the largest `β ‖k‖²`.
#[track_caller]
pub(super) fn refuse(most: f64) {
    assert!(
        most.is_nan() || most <= MOST,
        "The argument `key` has a token with beta · |key|² = {most:.3}, but at most 2 is wanted, beyond which the \
         memory grows without bound; normalise the keys (`Keys::Normalise`), or ask for `Keys::Unbounded`."
    );
}
