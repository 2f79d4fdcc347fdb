//! The checked problem that every form solves.

use super::keys;
use super::options::{Beta, DeltaRuleOptions, Keys};
use crate::checks;
use crate::heads::repeat_heads;
use crate::matrix_memory::decay::Decay;
use crate::matrix_memory::problem::{Given, Problem as MatrixProblem};
use crate::precision::to_dtype;
use crate::segments::Unpacking;
use burn::tensor::Tensor;

/// Arguments after checking.
pub(super) struct Problem {
    pub tokens: MatrixProblem,
    pub beta: Tensor<4>, // [b, t, h, 1] or [b, t, h, v]
    /// Whether longer keys than [`Keys::Bounded`] allows are refused.
    pub bounded: bool,
}

impl Problem {
    #[track_caller]
    pub fn checked(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        beta: Beta,
        decay: Decay,
        options: DeltaRuleOptions,
    ) -> Self {
        let given = Given {
            memory: options.initial_state.map(|memory| (memory, "initial_state")),
            scale: options.scale,
            resets: options.resets,
            segments: options.segments,
        };
        let tokens = MatrixProblem::checked(query, key, value, decay, given);
        let beta = to_dtype(checked(beta, tokens.value.dims()), tokens.dtype());
        let (query, key) = keys::prepare(options.keys, tokens.query, tokens.key);
        Self {
            beta: repeat_heads(beta, tokens.value.dims()[2]),
            tokens: MatrixProblem { query, key, ..tokens },
            bounded: options.keys == Keys::Bounded,
        }
    }

    /// The same problem with the segments that have tokens as sequences.
    pub fn unpacked(self, unpacking: &Unpacking) -> Self {
        Self { tokens: self.tokens.unpacked(unpacking), beta: unpacking.unpack(self.beta), ..self }
    }
}

/// Beta as `[B, T, HB, 1]` or `[B, T, HB, V]`, where `HB` divides `H`, for values `[B, T, H, V]`.
#[track_caller]
fn checked(beta: Beta, [batch, time, heads, value_dim]: [usize; 4]) -> Tensor<4> {
    let (beta, found) = match beta {
        Beta::Scalar(beta) => {
            let found = beta.dims()[2];
            checks::shape("beta", &beta.dims(), &[("B", batch), ("T", time), ("H", found)]);
            (beta.unsqueeze_dim(3), found)
        }
        Beta::Vector(beta) => {
            let found = beta.dims()[2];
            let wanted = [("B", batch), ("T", time), ("H", found), ("V", value_dim)];
            checks::shape("beta", &beta.dims(), &wanted);
            (beta, found)
        }
    };
    checks::divides("beta", found, "value", heads);
    beta
}
