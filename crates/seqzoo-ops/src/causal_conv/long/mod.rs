#![doc = include_str!("README.md")]

#[cfg(feature = "flex")]
mod kernel;
mod naive;
mod options;
mod parallel;
mod problem;

pub use options::LongConvOptions;

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use crate::precision::to_dtype;
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// Long causal depthwise convolution: every channel with a filter of its own, as long as one likes.
///
/// ```text
/// y_t = skip ⊙ x_t + Σ_{j=0}^{L-1} filter[:, j] ⊙ x_{t-j}
/// ```
///
/// The first tap multiplies the current token, as filters of state spaces and of Hyena are written; the weight of
/// [`causal_conv`](super::causal_conv) is the same with its taps in reverse.
///
/// # Shapes
///
/// * `input`: `[B, T, D]`; `filter`: `[D, L]`, with `L` smaller or larger than `T`.
/// * Returns the output `[B, T, D]` and the kept inputs: the last `min(P + T, L - 1)` of the `P` inputs of the initial
///   state and the tokens, oldest first, `[B, min(P + T, L - 1), D]`, with zeros for those before the last reset. They are the
///   initial state of the next call.
///
/// Both returned tensors are differentiable in every argument, the initial state included.
///
/// # Memory and time
///
/// The state grows with the tokens to at most `L - 1` inputs. A call costs `O((T + L) log L)` per channel with the
/// kernel, whatever `T` is, but that of one token `O(L)`: a stream is cheaper in parts of many tokens. Any parts give the
/// same outputs.
///
/// # Panics
///
/// If a shape disagrees, `T`, `D` or `L` is 0, the initial state holds more than `L - 1` inputs, or a form is asked for
/// that this operator does not have.
///
/// # Finite numbers
///
/// Inputs, state and filter must be finite. The kernel transforms many tokens together, so that what is infinite or no number
/// reaches earlier outputs of the same segment, though none of another segment. For the same reason an output is exact to
/// the rounding of the largest numbers nearby, not of its own terms.
///
/// # Sources
///
/// Gu et al. 2021, <https://arxiv.org/abs/2111.00396> (sec. 2.4, state spaces as long convolutions); Poli et al. 2023,
/// <https://arxiv.org/abs/2302.10866> (sec. 2.1 and 3).
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use seqzoo_ops::causal_conv::long::{LongConvOptions, long_conv};
///
/// let device = Device::default();
/// let input = Tensor::<3>::random([1, 10, 6], Distribution::Default, &device);
/// let filter = Tensor::<2>::random([6, 100], Distribution::Default, &device);
/// let (output, kept) = long_conv(input, filter, LongConvOptions::default());
/// assert_eq!(output.dims(), [1, 10, 6]);
/// assert_eq!(kept.dims(), [1, 10, 6]);
/// ```
#[track_caller]
pub fn long_conv(input: Tensor<3>, filter: Tensor<2>, options: LongConvOptions) -> (Tensor<3>, Tensor<3>) {
    let dtype = input.dtype();
    let report = long_conv_report(input.dims()[1], &options, &input.device());
    let problem = Problem::checked(input, filter, options);
    let (output, kept) = match report.form {
        // Of no sequences the inputs are the output.
        _ if problem.is_empty() => problem.into_nothing(),
        #[cfg(feature = "flex")]
        Form::Kernel => kernel::run(problem),
        Form::Parallel => parallel::parallel(problem),
        _ => naive::naive(problem),
    };
    (to_dtype(output, dtype), kept)
}

/// Which form [`long_conv`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`long_conv`] does, if the form asked for cannot be had.
#[track_caller]
pub fn long_conv_report(time: usize, options: &LongConvOptions, device: &Device) -> Report {
    let kernel = Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu);
    options.form.resolve(time, &Forms::parallel(kernel))
}
