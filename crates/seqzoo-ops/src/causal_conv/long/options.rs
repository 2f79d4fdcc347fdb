//! Options.

use crate::Form;
use burn::tensor::{Bool, Tensor};

/// Options of [`long_conv`](super::long_conv).
#[derive(Clone, Debug, Default)]
pub struct LongConvOptions {
    /// The last inputs before the first token, oldest first, `[B, P, D]` with any `P` from 0 to `L - 1`. What lies
    /// before them is zero. `None`: none.
    pub initial_state: Option<Tensor<3>>,
    /// Multiplies the current token and is added to the output, `[D]`. `None`: zeros.
    pub skip: Option<Tensor<1>>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// How to compute it: this operator has the forms `Naive`, `Parallel` and, on the CPU, `Kernel`.
    pub form: Form,
}
