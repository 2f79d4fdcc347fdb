//! The checked problem that every form solves.

use super::options::DiagonalSsmOptions;
use crate::Complex;
use crate::checks;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, DType, Tensor};

/// Arguments after checking, in the accumulator's dtype.
pub(super) struct Problem {
    pub input: Tensor<3>,        // [b, t, e]
    pub eigenvalues: Complex<2>, // [e, n]
    pub weights: Complex<2>,     // [e, n]
    pub state: Complex<3>,       // [b, e, n]
    pub resets: Option<Tensor<2, Bool>>,
}

impl Problem {
    #[track_caller]
    pub fn checked(
        input: Tensor<3>,
        eigenvalues: Complex<2>,
        weights: Complex<2>,
        options: DiagonalSsmOptions,
    ) -> Self {
        let [batch, time, channels] = input.dims();
        let [_, size] = eigenvalues.dims();
        let wide = accumulator(input.dtype());
        checks::not_empty("input", "time", time);
        checks::not_empty("input", "channel", channels);
        checks::not_empty("eigenvalues", "state", size);
        let diagonal = [("E", channels), ("N", size)];
        eigenvalues.check("eigenvalues", &diagonal);
        weights.check("weights", &diagonal);
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
        }
        let shape = [batch, channels, size];
        let state = match options.initial_state {
            Some(state) => {
                state.check("initial_state", &[("B", batch), ("E", channels), ("N", size)]);
                state.in_dtype(wide)
            }
            None => Complex::zeros(shape, (&input.device(), wide)),
        };
        Self {
            input: to_dtype(input, wide),
            eigenvalues: eigenvalues.in_dtype(wide),
            weights: weights.in_dtype(wide),
            state,
            resets: options.resets,
        }
    }

    /// Whether there are no sequences, and so nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.input.dims()[0] == 0
    }

    /// The accumulator's dtype.
    pub fn dtype(&self) -> DType {
        self.input.dtype()
    }
}
