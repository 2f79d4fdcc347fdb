//! Options.

use crate::{Form, Segments};
use burn::tensor::{Bool, Tensor};

/// Options of [`selective_scan`](super::selective_scan). `Default` is the bare recurrence.
#[derive(Clone, Debug, Default)]
pub struct SelectiveScanOptions {
    /// Whether `a` holds `ln(-A)`, as models keep it, and not `A`.
    pub a_log: bool,
    /// Added to `delta` before anything else, `[E]`.
    pub delta_bias: Option<Tensor<1>>,
    /// Whether `delta` then goes through `softplus`, `ln(1 + e^x)`.
    pub delta_softplus: bool,
    /// The least and the greatest step; a step outside is moved to the limit, where it has no gradient.
    pub delta_limits: Option<(f64, f64)>,
    /// The skip `D`, `[E]`: adds `D u_t` to the output.
    pub d: Option<Tensor<1>>,
    /// The gate `z`, `[B, T, E]`: multiplies the output, the skip included, by `silu(z)`.
    pub z: Option<Tensor<3>>,
    /// The state before the first token, `[B, E, N]`; with segments, with their number in place of `B`. `None`: zeros.
    pub initial_state: Option<Tensor<3>>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences in every row, each with a state of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it.
    pub form: Form,
}
