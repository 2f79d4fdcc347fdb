//! Options.

use crate::{Complex, Form};
use burn::tensor::{Bool, Tensor};

/// Options of [`diagonal_ssm`](super::diagonal_ssm).
#[derive(Clone, Debug, Default)]
pub struct DiagonalSsmOptions {
    /// The state before the first token, `[B, E, N]`. `None`: zeros.
    pub initial_state: Option<Complex<3>>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// How to compute it.
    pub form: Form,
}
