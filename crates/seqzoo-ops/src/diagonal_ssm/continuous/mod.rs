//! From the parameters of a state space in continuous time to the recurrence over tokens.

mod kernel;
mod options;
mod tensors;

pub use options::{Discretisation, RealTransform};
pub use tensors::discretise;

use crate::precision::{accumulator, to_dtype};
use crate::{Complex, checks};
use burn::tensor::{DType, Tensor};

/// The parameters of a diagonal state space in continuous time, for each of `E` channels:
///
/// ```text
/// x'(t) = A x(t) + B u(t)        y(t) = 2 Re(C · x(t))        A = −decay + i ω
/// ```
///
/// Of each pair of conjugates one is kept, which is where the 2 comes from.
#[derive(Clone, Debug)]
pub struct ContinuousSsm {
    /// `ln Δ`, the logarithm of the time between two tokens, `[E]`.
    pub log_dt: Tensor<1>,
    /// What the real transform makes the decay of, `[E, N]`.
    pub a_real: Tensor<2>,
    /// `ω`, `[E, N]`.
    pub a_imag: Tensor<2>,
    /// `B`, `[E, N, 2]`: real and imaginary parts. `None`: ones.
    pub b: Option<Tensor<3>>,
    /// `C`, `[E, N, 2]`: real and imaginary parts.
    pub c: Tensor<3>,
}

impl ContinuousSsm {
    /// The eigenvalues `λ` and the weights `w = 2 C B̄` of [`diagonal_ssm`](super::diagonal_ssm()), both `[E, N]`, in
    /// `f32` or wider:
    ///
    /// ```text
    /// h_t = λ ⊙ h_{t-1} + u_t        y_t = Re(w · h_t)
    /// ```
    ///
    /// Both are differentiable in every parameter.
    ///
    /// # Panics
    ///
    /// If a shape disagrees, or `E` or `N` is 0.
    ///
    /// # Source
    ///
    /// Gu et al. 2022, <https://arxiv.org/abs/2206.11893> (sec. 3).
    #[track_caller]
    pub fn discretised(
        self,
        discretisation: Discretisation,
        real_transform: RealTransform,
    ) -> (Complex<2>, Complex<2>) {
        self.check();
        let wide = accumulator(self.c.dtype());
        let parameters = self.in_dtype(wide);
        if kernel::runs_on(&parameters.c.device()) {
            kernel::run(parameters, discretisation, real_transform)
        } else {
            tensors::discretised(parameters, discretisation, real_transform)
        }
    }

    #[track_caller]
    fn check(&self) {
        let [channels, size, _] = self.c.dims();
        checks::not_empty("c", "channel", channels);
        checks::not_empty("c", "state", size);
        let numbers = [("E", channels), ("N", size)];
        let complex = [("E", channels), ("N", size), ("parts", 2)];
        checks::shape("c", &self.c.dims(), &complex);
        checks::shape("log_dt", &self.log_dt.dims(), &[("E", channels)]);
        checks::shape("a_real", &self.a_real.dims(), &numbers);
        checks::shape("a_imag", &self.a_imag.dims(), &numbers);
        if let Some(b) = &self.b {
            checks::shape("b", &b.dims(), &complex);
        }
    }

    fn in_dtype(self, dtype: DType) -> Self {
        Self {
            log_dt: to_dtype(self.log_dt, dtype),
            a_real: to_dtype(self.a_real, dtype),
            a_imag: to_dtype(self.a_imag, dtype),
            b: self.b.map(|b| to_dtype(b, dtype)),
            c: to_dtype(self.c, dtype),
        }
    }
}
