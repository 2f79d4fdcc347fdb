#![doc = include_str!("README.md")]

mod chunked;
pub mod kernel;
mod naive;
mod options;
mod problem;

pub use options::{ComplexFactor, Factor, LinearScanOptions};

use crate::Complex;
use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use crate::precision::to_dtype;
use crate::scan::doubling::Numbers;
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// The element-wise linear recurrence, real.
///
/// ```text
/// h_t = a_t ⊙ h_{t-1} + x_t
/// ```
///
/// `a` may have any sign and be 0, where its gradient is exact too: nothing is divided by a product of factors.
///
/// # Shapes
///
/// * `input` (`x`): `[B, T, D]`; `factor` (`a`): see [`Factor`].
/// * Returns all states, `[B, T, D]`, and the last one, `[B, D]`.
/// * With [`Segments`], `N` of them, a row holds several sequences: first and last states are `[N, D]`.
///
/// Both are differentiable in every argument, the initial state included.
///
/// # Panics
///
/// If a shape or the segments disagree, `T` or `D` is 0, the chunk size is not a power of two, or a form is asked for that this
/// operator does not have.
///
/// # Finite numbers
///
/// Inputs, factors and state must be finite, and so must the states: factors longer than 1 make them grow without bound. The
/// recurrence and the kernel stay clean before an infinite value and after the reset that follows it, but the chunked form
/// multiplies it by zero. A reset before the first token clears even an infinite initial state in every form.
///
/// # Sources
///
/// Blelloch 1990, *Prefix sums and their applications* (sec. 1.4); Martin & Cundy 2017, <https://arxiv.org/abs/1709.04057>.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use seqzoo_ops::linear_scan::{Factor, LinearScanOptions, linear_scan};
///
/// let device = Device::default();
/// let input = Tensor::<3>::ones([1, 3, 2], &device);
/// let factor = Tensor::<1>::from_floats([0.5, 0.0], &device);
/// let (states, last) = linear_scan(input, Factor::PerChannel(factor), LinearScanOptions::default());
/// states.to_data().assert_eq(&[[[1.0f32, 1.0], [1.5, 1.0], [1.75, 1.0]]].into(), true);
/// assert_eq!(last.dims(), [1, 2]);
/// ```
#[track_caller]
pub fn linear_scan(input: Tensor<3>, factor: Factor, options: LinearScanOptions) -> (Tensor<3>, Tensor<2>) {
    let dtype = input.dtype();
    let report = linear_scan_report(input.dims()[1], &options, &input.device());
    let (states, last) = solve(Problem::<Tensor<3>>::checked(input, factor, options), report, kernel::run);
    (to_dtype(states, dtype), last.squeeze_dim(1))
}

/// The element-wise linear recurrence `h_t = a_t ⊙ h_{t-1} + x_t`, complex; otherwise [`linear_scan`].
///
/// Gradients are those of the real and of the imaginary parts, as for any pair of real tensors.
///
/// # Panics
///
/// As [`linear_scan`] does, and if two parts of a complex tensor have different shapes.
#[track_caller]
pub fn complex_linear_scan(
    input: Complex<3>,
    factor: ComplexFactor,
    options: LinearScanOptions<Complex<2>>,
) -> (Complex<3>, Complex<2>) {
    let dtype = input.re.dtype();
    let report = linear_scan_report(input.dims()[1], &options, &input.re.device());
    let (states, last) =
        solve(Problem::<Complex<3>>::checked(input, factor, options), report, kernel::run_complex);
    (states.in_dtype(dtype), last.map(|part| part.squeeze_dim(1)))
}

/// All states, `[b, t, d]`, and the last, `[b, 1, d]`, or `[n, 1, d]` of n segments.
fn solve<N: Numbers<Part = Tensor<3>>>(
    problem: Problem<N>,
    report: Report,
    kernel: impl FnOnce(Problem<N>) -> (N, N),
) -> (N, N) {
    let run = |problem| match report.form {
        Form::Kernel => kernel(problem),
        Form::Chunked { size } => chunked::chunked(problem, size),
        _ => naive::naive(problem),
    };
    match Unpacking::wanted(problem.segments.as_ref(), report.kernel) {
        // Of no sequences the inputs are the states, and the state stays as it is.
        _ if problem.input.extent(0) == 0 => (problem.input, problem.state),
        None => run(problem),
        Some(unpacking) => {
            let initial = problem.state.clone();
            let (states, _) = run(problem.unpacked(&unpacking));
            let last = states.clone().map_parts(|part| unpacking.last(part));
            let last = last.zip_parts(initial, |last, initial| unpacking.final_states(last, initial));
            (states.map_parts(|part| unpacking.pack(part)), last)
        }
    }
}

/// Which form [`linear_scan`] and [`complex_linear_scan`] take for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As they do, if the form asked for cannot be had.
#[track_caller]
pub fn linear_scan_report<S>(time: usize, options: &LinearScanOptions<S>, device: &Device) -> Report {
    let segments = options.segments.as_ref();
    let time = segments.map_or(time, Segments::longest);
    options.form.resolve(time, &Forms::chunked(Kernel::on(device))).with_segments(segments)
}
