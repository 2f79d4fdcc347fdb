//! Betas, the policy on the length of keys, and options.

use crate::{Form, Segments};
use burn::tensor::{Bool, Tensor};

/// How strongly a token replaces what the memory holds under its key: 0 leaves it, 1 replaces it, and from 1
/// to 2 the old value is taken out more than once, which makes an eigenvalue of the transition negative.
#[derive(Clone, Debug)]
pub enum Beta {
    /// One number per token and head, `[B, T, H]` (or fewer heads that divide `H`).
    Scalar(Tensor<3>),
    /// One number per token, head and value channel, `[B, T, H, V]` (or fewer heads that divide `H`).
    Vector(Tensor<4>),
}

/// The policy on the length of keys.
///
/// The transition `I - β k kᵀ` has the eigenvalue `1 - β ‖k‖²`. With unit keys and `β` up to 2 that is at least
/// -1; beyond it the memory grows with every token and soon is NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Keys {
    /// `β ‖k‖²` must be at most 2 (within rounding), and is refused where it is more. The check reads all keys; it is
    /// made where that costs little, on Burn's Flex backend, and elsewhere left to the caller.
    #[default]
    Bounded,
    /// Queries and keys are divided by `√(Σ x² + epsilon)` first, as the published layers do with 1e-6.
    Normalise {
        /// Inside the root, so that zeros stay zeros.
        epsilon: f64,
    },
    /// Any key, unchecked. The recurrence may leave the range of its numbers.
    Unbounded,
}

/// Options of [`delta_rule`](super::delta_rule).
#[derive(Clone, Debug, Default)]
pub struct DeltaRuleOptions {
    /// The memory `S` before the first token, `[B, H, K, V]`, or `[N, H, K, V]` of `N` segments. `None`: zeros.
    pub initial_state: Option<Tensor<4>>,
    /// Multiplies the queries, after any normalisation. `None`: `K^-1/2`.
    pub scale: Option<f64>,
    /// The policy on the length of keys.
    pub keys: Keys,
    /// `[B, T]`, true where the memory is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences in every row, each with a memory of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it.
    pub form: Form,
}
