#![doc = include_str!("README.md")]

mod chunked;
pub mod kernel;
mod naive;
mod normaliser;
mod options;
mod problem;

pub use crate::matrix_memory::decay::Decay;
pub use options::{LinearAttentionOptions, LinearAttentionState};

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use crate::precision::to_dtype;
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// Linear attention with any decay, normalised or not.
///
/// ```text
/// S_t = diag(a_t) S_{t-1} + k_t v_tᵀ          a_t = exp(decay_t)
/// z_t = a_t ⊙ z_{t-1} + k_t                    (with a normaliser)
/// o_t = scale · S_tᵀ q_t  [ / (scale · q_tᵀ z_t + ε) ]
/// ```
///
/// The decay meets the old state before the write, and the output reads the state after it.
///
/// # Shapes
///
/// * `query`, `key`: `[B, T, HK, K]`; `HK` divides `H`, and value head `j` reads key head
///   `j / (H / HK)`.
/// * `value`: `[B, T, H, V]`.
/// * `decay`: see [`Decay`]. [`Decay::PerHead`] has `H` heads; the others have `H`, or a number that
///   divides it and is repeated like the heads of the keys.
/// * Returns the output `[B, T, H, V]` and the state after the last token.
/// * With [`Segments`], `N` of them, a row holds several sequences: states have `N` in place of `B`, before and after.
///
/// Both returned tensors are differentiable in every argument, the initial state included.
///
/// # Panics
///
/// If a shape or the segments disagree, `T`, `H`, `K` or `V` is 0, the chunk size is not a power of two, a form is asked for that this
/// operator does not have, or a normaliser is asked for with an initial state that has no key sum.
///
/// # Finite numbers
///
/// Inputs and state must be finite. The recurrence stays clean before an infinite value and after
/// the reset that follows it, but the chunked form and the kernel multiply it by zero inside their chunks. A reset
/// before the first token clears even an infinite initial state in every form.
///
/// # Sources
///
/// Katharopoulos et al. 2020, <https://arxiv.org/abs/2006.16236> (eq. 16-20); Sun et al. 2023,
/// <https://arxiv.org/abs/2307.08621> (sec. 2.2, retention); Yang et al. 2023,
/// <https://arxiv.org/abs/2312.06635> (sec. 3 and 4, gated linear attention); Dao & Gu 2024,
/// <https://arxiv.org/abs/2405.21060> (sec. 6, scalar decay).
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use seqzoo_ops::linear_attention::{Decay, LinearAttentionOptions, linear_attention};
///
/// let device = Device::default();
/// let random = |k| Tensor::<4>::random([1, 10, 2, k], Distribution::Default, &device);
/// let (q, k, v) = (random(8), random(8), random(4));
/// let (output, state) = linear_attention(q, k, v, Decay::None, LinearAttentionOptions::default());
/// assert_eq!(output.dims(), [1, 10, 2, 4]);
/// assert_eq!(state.memory.dims(), [1, 2, 8, 4]);
/// ```
#[track_caller]
pub fn linear_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    decay: Decay,
    options: LinearAttentionOptions,
) -> (Tensor<4>, LinearAttentionState) {
    let dtype = query.dtype();
    let report = linear_attention_report(query.dims()[1], &options, &query.device());
    let problem = Problem::checked(query, key, value, decay, options);
    let run = |problem| match report.form {
        Form::Kernel => kernel::run(problem),
        Form::Chunked { size } => chunked::chunked(problem, size),
        _ => naive::naive(problem),
    };
    let (output, state) = match Unpacking::wanted(problem.tokens.segments.as_ref(), report.kernel) {
        // Of no sequences the values are the output, and the state stays as it is.
        _ if problem.tokens.is_empty() => (problem.tokens.value.clone(), problem.state()),
        None => run(problem),
        Some(unpacking) => {
            let initial = problem.state();
            let (output, last) = run(problem.unpacked(&unpacking));
            (unpacking.pack(output), last.of_segments(&unpacking, initial))
        }
    };
    (to_dtype(output, dtype), state)
}

/// Which form [`linear_attention`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`linear_attention`] does, if the form asked for cannot be had.
#[track_caller]
pub fn linear_attention_report(time: usize, options: &LinearAttentionOptions, device: &Device) -> Report {
    let segments = options.segments.as_ref();
    let time = segments.map_or(time, Segments::longest);
    options.form.resolve(time, &Forms::chunked(Kernel::on(device))).with_segments(segments)
}
