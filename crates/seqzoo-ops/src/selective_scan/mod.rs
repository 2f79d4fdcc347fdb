#![doc = include_str!("README.md")]

mod chunked;
pub mod kernel;
mod naive;
mod options;
mod problem;

pub use options::SelectiveScanOptions;

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use crate::precision::to_dtype;
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// Mamba's recurrence: a diagonal state per channel whose step, write and read the token chooses.
///
/// ```text
/// Δ_t = limits(softplus(delta_t + delta_bias))             each part if it is asked for
/// h_t = exp(Δ_t A) ⊙ h_{t-1} + Δ_t u_t B_t
/// y_t = (C_t · h_t + D u_t) silu(z_t)                      the skip and the gate if they are given
/// ```
///
/// `a` is `A` itself or, with `a_log`, `ln(-A)`, which is what models keep. The input is discretised by Euler's rule,
/// `Δ B u`, and the state by the exponential, as in the published code.
///
/// # Shapes
///
/// * `input` (`u`) and `delta`: `[B, T, E]`; `a`: `[E, N]`.
/// * `b`, `c`: `[B, T, G, N]`; `G` divides `E`, and channel `e` reads group `e / (E / G)`.
/// * Returns the output `[B, T, E]` and the state after the last token, `[B, E, N]`.
/// * With [`Segments`], a row holds several sequences: states have their number in place of `B`, before and after.
///
/// Both returned tensors are differentiable in every argument, the initial state included.
///
/// # Panics
///
/// If a shape or the segments disagree, `T`, `E` or `N` is 0, the chunk size is not a power of two, or a form is asked for that this
/// operator does not have.
///
/// # Source
///
/// Gu & Dao 2023, <https://arxiv.org/abs/2312.00752> (sec. 3.2, algorithm 2).
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use seqzoo_ops::selective_scan::{SelectiveScanOptions, selective_scan};
///
/// let device = Device::default();
/// let tokens = || Tensor::<3>::random([1, 10, 6], Distribution::Default, &device);
/// let shared = || Tensor::<4>::random([1, 10, 1, 4], Distribution::Default, &device);
/// let a = Tensor::<2>::ones([6, 4], &device).neg();
/// let options = SelectiveScanOptions { delta_softplus: true, ..Default::default() };
/// let (output, state) = selective_scan(tokens(), tokens(), a, shared(), shared(), options);
/// assert_eq!(output.dims(), [1, 10, 6]);
/// assert_eq!(state.dims(), [1, 6, 4]);
/// ```
#[track_caller]
pub fn selective_scan(
    input: Tensor<3>,
    delta: Tensor<3>,
    a: Tensor<2>,
    b: Tensor<4>,
    c: Tensor<4>,
    options: SelectiveScanOptions,
) -> (Tensor<3>, Tensor<3>) {
    let dtype = input.dtype();
    let report = selective_scan_report(input.dims()[1], &options, &input.device());
    let problem = Problem::checked(input, delta, a, b, c, options);
    let run = |problem| match report.form {
        Form::Kernel => kernel::run(problem),
        Form::Chunked { size } => chunked::chunked(problem, size),
        _ => naive::naive(problem),
    };
    let (output, state) = match Unpacking::wanted(problem.segments.as_ref(), report.kernel) {
        // Of no sequences the inputs are the output, and the state stays as it is.
        _ if problem.is_empty() => (problem.input, problem.state),
        None => run(problem),
        Some(unpacking) => {
            let initial = problem.state.clone();
            let (output, last) = run(problem.unpacked(&unpacking));
            (unpacking.pack(output), unpacking.final_states(last, initial))
        }
    };
    (to_dtype(output, dtype), state)
}

/// Which form [`selective_scan`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`selective_scan`] does, if the form asked for cannot be had.
#[track_caller]
pub fn selective_scan_report(time: usize, options: &SelectiveScanOptions, device: &Device) -> Report {
    let segments = options.segments.as_ref();
    let time = segments.map_or(time, Segments::longest);
    options.form.resolve(time, &Forms::chunked(Kernel::on(device))).with_segments(segments)
}
