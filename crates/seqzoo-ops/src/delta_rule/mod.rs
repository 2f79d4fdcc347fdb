#![doc = include_str!("README.md")]

mod chunked;
mod gated_delta_product;
pub mod kernel;
mod keys;
mod naive;
mod options;
mod problem;

pub use crate::matrix_memory::decay::Decay;
pub use gated_delta_product::gated_delta_product;
pub use options::{Beta, DeltaRuleOptions, Keys};

#[cfg(feature = "flex")]
pub(crate) use kernel::GROUP;

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use crate::precision::to_dtype;
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// The delta rule: a memory that corrects itself, with any decay.
///
/// ```text
/// S_t = (I - β_t k_t k_tᵀ) diag(a_t) S_{t-1} + β_t k_t v_tᵀ          a_t = exp(decay_t)
/// o_t = scale · S_tᵀ q_t
/// ```
///
/// In words: the memory fades, is asked what it holds under the key, and the difference between that and the value is
/// written back, `β` times. The output reads the memory after the write. A `β` of its own per value channel
/// corrects every column of the memory by a beta of its own.
///
/// # Shapes
///
/// * `query`, `key`: `[B, T, HK, K]`; `HK` divides `H`, and value head `j` reads key head `j / (H / HK)`.
/// * `value`: `[B, T, H, V]`.
/// * `beta`: see [`Beta`]; from 0 to 2.
/// * `decay`: see [`Decay`].
/// * Returns the output `[B, T, H, V]` and the memory after the last token, `[B, H, K, V]`.
/// * With [`Segments`], `N` of them, a row holds several sequences: memories are `[N, H, K, V]`, before and after.
///
/// Both returned tensors are differentiable in every argument, the initial memory included.
///
/// # Panics
///
/// If a shape or the segments disagree, `T`, `H`, `K` or `V` is 0, the chunk size is not a power of two, a form is asked for that this
/// operator does not have, or keys are refused (see [`Keys`]).
///
/// # Finite numbers
///
/// Inputs and memory must be finite. A reset before the first token clears even an infinite initial memory, in
/// every form. With keys of unit length and `β` from 0 to 2 nothing grows beyond the sum of what was written.
///
/// # Sources
///
/// Schlag et al. 2021, <https://arxiv.org/abs/2102.11174> (sec. 4.2, the rule); Yang et al. 2024,
/// <https://arxiv.org/abs/2406.06484> (sec. 3, the chunked form); Yang et al. 2024,
/// <https://arxiv.org/abs/2412.06464> (sec. 3, scalar decay: Gated DeltaNet); Kimi Team 2025,
/// <https://arxiv.org/abs/2510.26692> (sec. 3, vector decay: Kimi delta attention); Grazzi et al. 2024,
/// <https://arxiv.org/abs/2411.12537> (β up to 2).
///
/// # Example
///
/// A key that comes again finds its new value, whatever else has been stored:
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use seqzoo_ops::delta_rule::{Beta, Decay, DeltaRuleOptions, delta_rule};
///
/// let device = Device::default();
/// // Two orthogonal keys, the first of them twice: [b, t, h, k] = [1, 3, 1, 2].
/// let key = Tensor::<4>::from_floats([[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]]], &device);
/// let value = Tensor::<4>::from_floats([[[[5.0]], [[7.0]], [[6.0]]]], &device);
/// let beta = Beta::Scalar(Tensor::ones([1, 3, 1], &device));
/// let (_, memory) = delta_rule(key.clone(), key, value, beta, Decay::None, DeltaRuleOptions::default());
/// let held = memory.into_data().convert::<f32>().to_vec::<f32>().unwrap();
/// assert_eq!(held, [6.0, 7.0]); // linear attention would hold 5 + 6 under the first key
/// ```
#[track_caller]
pub fn delta_rule(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    beta: Beta,
    decay: Decay,
    options: DeltaRuleOptions,
) -> (Tensor<4>, Tensor<4>) {
    let dtype = query.dtype();
    let report = delta_rule_report(query.dims()[1], &options, &query.device());
    let problem = Problem::checked(query, key, value, beta, decay, options);
    if problem.tokens.is_empty() {
        // Of no sequences the values are the output, and the memory stays as it is.
        return (to_dtype(problem.tokens.value, dtype), problem.tokens.memory);
    }
    if problem.bounded && report.form != Form::Kernel {
        keys::check(&problem.tokens.key, &problem.beta);
    }
    let run = |problem| match report.form {
        Form::Kernel => kernel::run(problem),
        Form::Chunked { size } => chunked::chunked(problem, size),
        _ => naive::naive(problem),
    };
    let (output, memory) = match Unpacking::wanted(problem.tokens.segments.as_ref(), report.kernel) {
        None => run(problem),
        Some(unpacking) => {
            let initial = problem.tokens.memory.clone();
            let (output, last) = run(problem.unpacked(&unpacking));
            (unpacking.pack(output), unpacking.final_states(last, initial))
        }
    };
    (to_dtype(output, dtype), memory)
}

/// Which form [`delta_rule`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`delta_rule`] does, if the form asked for cannot be had.
#[track_caller]
pub fn delta_rule_report(time: usize, options: &DeltaRuleOptions, device: &Device) -> Report {
    let segments = options.segments.as_ref();
    let time = segments.map_or(time, Segments::longest);
    options.form.resolve(time, &Forms::chunked(Kernel::on(device))).with_segments(segments)
}
