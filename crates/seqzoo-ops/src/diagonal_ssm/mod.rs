#![doc = include_str!("README.md")]

mod chunked;
pub mod continuous;
mod kernel;
mod naive;
mod options;
mod problem;

pub use options::DiagonalSsmOptions;

use crate::Complex;
use crate::form::{Form, Forms, Report};
use crate::precision::to_dtype;
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// A linear time-invariant state space with a diagonal transition: S4D's recurrence.
///
/// ```text
/// h_t = λ ⊙ h_{t-1} + u_t
/// y_t = Re(w · h_t)
/// ```
///
/// for every channel, with complex `λ`, `w` and `h` of `N` numbers. The discretised `B` is part of `w`, and so is the
/// factor 2 of a model that keeps one of each pair of conjugates.
///
/// # Shapes
///
/// * `input` (`u`): `[B, T, E]`; `eigenvalues` (`λ`) and `weights` (`w`): `[E, N]`.
/// * Returns the output `[B, T, E]` and the state after the last token, `[B, E, N]`.
///
/// Both returned tensors are differentiable in every argument, the initial state included.
///
/// # Panics
///
/// If a shape disagrees, `T`, `E` or `N` is 0, the chunk size is not a power of two, or a form is asked for that this
/// operator does not have.
///
/// # Source
///
/// Gu et al. 2022, <https://arxiv.org/abs/2206.11893> (sec. 3).
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use seqzoo_ops::Complex;
/// use seqzoo_ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm};
///
/// let device = Device::default();
/// let input = Tensor::<3>::random([1, 10, 6], Distribution::Default, &device);
/// let part = || Tensor::<2>::random([6, 4], Distribution::Uniform(-0.5, 0.5), &device);
/// let (eigenvalues, weights) = (Complex::new(part(), part()), Complex::new(part(), part()));
/// let (output, state) = diagonal_ssm(input, eigenvalues, weights, DiagonalSsmOptions::default());
/// assert_eq!(output.dims(), [1, 10, 6]);
/// assert_eq!(state.dims(), [1, 6, 4]);
/// ```
#[track_caller]
pub fn diagonal_ssm(
    input: Tensor<3>,
    eigenvalues: Complex<2>,
    weights: Complex<2>,
    options: DiagonalSsmOptions,
) -> (Tensor<3>, Complex<3>) {
    let dtype = input.dtype();
    let report = diagonal_ssm_report(input.dims()[1], &options, &input.device());
    let problem = Problem::checked(input, eigenvalues, weights, options);
    let (output, state) = match report.form {
        // Of no sequences the inputs are the output, and the state stays as it is.
        _ if problem.is_empty() => (problem.input, problem.state),
        Form::Kernel => kernel::run(problem),
        Form::Chunked { size } => chunked::chunked(problem, size),
        _ => naive::naive(problem),
    };
    (to_dtype(output, dtype), state)
}

/// Which form [`diagonal_ssm`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`diagonal_ssm`] does, if the form asked for cannot be had.
#[track_caller]
pub fn diagonal_ssm_report(time: usize, options: &DiagonalSsmOptions, device: &Device) -> Report {
    options.form.resolve(time, &Forms::chunked(kernel::on(device)))
}
