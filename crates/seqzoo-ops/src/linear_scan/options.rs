//! Factors and options.

use crate::{Complex, Form, Segments};
use burn::tensor::{Bool, Tensor};

/// The factor `a` by which a token multiplies the state.
#[derive(Clone, Debug)]
pub enum Factor {
    /// One per channel, the same for every token: `[D]`.
    PerChannel(Tensor<1>),
    /// One per token and channel: `[B, T, D]`.
    PerToken(Tensor<3>),
}

/// The factor `a` of a complex recurrence.
#[derive(Clone, Debug)]
pub enum ComplexFactor {
    /// One per channel, the same for every token: `[D]`.
    PerChannel(Complex<1>),
    /// One per token and channel: `[B, T, D]`.
    PerToken(Complex<3>),
}

/// Options of [`linear_scan`](super::linear_scan), whose state is a `Tensor<2>`, and of
/// [`complex_linear_scan`](super::complex_linear_scan), whose state is a [`Complex<2>`](Complex).
#[derive(Clone, Debug)]
pub struct LinearScanOptions<S = Tensor<2>> {
    /// The state before the first token, `[B, D]`, or `[N, D]` of `N` segments. `None`: zeros.
    pub initial_state: Option<S>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences in every row, each with a state of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it.
    pub form: Form,
}

impl<S> Default for LinearScanOptions<S> {
    fn default() -> Self {
        Self { initial_state: None, resets: None, segments: None, form: Form::Auto }
    }
}
