//! Softmax attention with a growing cache or a sliding window, and its variants.

mod decays;
mod entries;
pub mod hopfield;
#[cfg(feature = "flex")]
mod kernel;
pub mod landmark;
mod masked;
mod masks;
mod naive;
mod parallel;
mod problem;
mod segmented;
pub mod sigmoid;
mod state;

use crate::form::{Form, Forms, Report};
use crate::kernel::Kernel;
use crate::precision::to_dtype;
use crate::segments::Segments;
use burn::tensor::{Bool, Device, Tensor};

pub use entries::Entries;
pub use state::AttentionState;

use problem::Problem;

/// Keys and values that every token sees in addition, whatever the window and the resets are: learned ones, for example.
/// They are no part of the cache.
#[derive(Clone, Debug)]
pub struct Prefix {
    /// What asks it, `[B, T, H, K]`: where the queries carry positions, those without. `None`: the queries.
    pub query: Option<Tensor<4>>,
    /// `[1, P, HK, K]`, the same for all sequences.
    pub keys: Tensor<4>,
    /// `[1, P, HK, V]`.
    pub values: Tensor<4>,
}

/// Options of [`attention`].
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    /// The cache before the first token. `None`: empty.
    pub initial_state: Option<AttentionState>,
    /// Multiplies the scores. `None`: `K^-1/2`.
    pub scale: Option<f64>,
    /// How many tokens each token sees, itself included. `None`: all earlier ones.
    pub window: Option<usize>,
    /// Whether every token sees all tokens of its sequence, later ones as well. A window then counts on both sides.
    pub bidirectional: bool,
    /// `[B, T, H]`, at most 0: the score of a key gains the log decays of the tokens after it up to the query's.
    pub log_decay: Option<Tensor<3>>,
    /// `[H]`, one more score of every head, of no key: it takes weight and gives nothing.
    pub sinks: Option<Tensor<1>>,
    /// What every token sees in addition. `None`: nothing.
    pub prefix: Option<Prefix>,
    /// `[B, T]`, true where everything before the token is hidden from it and from later ones.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences per row, each with a cache of its own: `initial_state` and the final state are `[N, S, ...]`.
    pub segments: Option<Segments>,
    /// How to compute it: this operator has the forms `Naive`, `Parallel` and, on the CPU, `Kernel`. The time of the last two is
    /// quadratic in the number of tokens given at once, and with a window linear. The kernel's memory is linear. `Parallel` takes
    /// Burn's own attention where all tokens see all before them and nothing else (no cache, window, resets, prefix, log decays or
    /// sinks), and else works in runs of queries, whose scores stay in memory for a backward pass.
    pub form: Form,
}

/// Softmax attention, causal unless it is said to be bidirectional.
///
/// ```text
/// s_ij = scale · q_iᵀ k_j + Σ_{j < l <= i} log_decay_l
/// p_ij = e^s_ij / (e^sink + Σ_{visible j} e^s_ij)        o_i = Σ_{visible j} p_ij v_j
/// ```
///
/// Visible are `j <= i`, with a window `i - j < window`, and no reset in `j+1 ..= i`; and the prefix, if there is one, with
/// no decay. With `bidirectional`, later tokens are as earlier ones: `|i - j| < window`, and no reset between the two.
///
/// Without log decays and sinks their terms are not there. A log decay that a gate gives is forgetting attention; one that
/// is the same for all tokens of a head is ALiBi.
///
/// With resets, their positions are read from the device: what no sequence of the batch sees any more leaves the cache.
///
/// # Shapes
///
/// * `query`: `[B, T, H, K]`.
/// * `key`: `[B, T, HK, K]`, `value`: `[B, T, HK, V]`; `HK` divides `H`, and query head `j` reads
///   key head `j / (H / HK)`.
/// * `segments`: sequences in the rows, `N` in all; the caches have `N` in place of `B`, and are as long as the longest, the
///   shorter ones with entries that are not visible before their own.
/// * Returns the output `[B, T, H, V]` and the cache after the last token: the keys and values since the earliest of
///   the sequences' last resets, of them with a window the last `max(window - 1, 1)`.
///
/// # Panics
///
/// If a shape disagrees, `HK` does not divide `H`, `T`, `H`, `K`, `V` or the length of a prefix is 0, the window is 0, there
/// are log decays of the tokens but none of the cache or the other way round, or with `bidirectional`, or a form is asked for
/// that this operator does not have.
///
/// # Finite numbers
///
/// What a reset hides, or a window, does not count even where it is NaN or infinite. An output that sees something
/// infinite is NaN, but for log decays: minus infinity hides all that is before it. Without the kernel, whole sequences without resets, window and cache leave to Burn what a token does to
/// those before it that is not finite.
///
/// # Source
///
/// Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762> (sec. 3.2.1); the window: Beltagy et al.
/// 2020, <https://arxiv.org/abs/2004.05150> (sec. 3.1); learned keys and values: Sukhbaatar et al. 2019,
/// <https://arxiv.org/abs/1907.01470> (sec. 4); log decays: Lin et al. 2025, <https://arxiv.org/abs/2503.02130> (sec. 3), Press
/// et al. 2021, <https://arxiv.org/abs/2108.12409> (sec. 3); sinks: Xiao et al. 2023, <https://arxiv.org/abs/2309.17453>
/// (sec. 3.2).
#[track_caller]
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
) -> (Tensor<4>, AttentionState) {
    let dtype = query.dtype();
    let report = attention_report(query.dims()[1], &options, &query.device());
    let mut problem = Problem::new(query, key, value, options);
    let output = match report.form {
        // Of no sequences there is nothing to attend to; the heads of the output are the queries' and its channels the
        // values'.
        _ if problem.query.dims()[0] == 0 => {
            let [_, time, heads, _] = problem.query.dims();
            problem.value.clone().reshape([0, time, heads, problem.value.dims()[3]])
        }
        #[cfg(feature = "flex")]
        Form::Kernel => kernel::run(&problem),
        form => match problem.segments.clone() {
            Some(segments) => segmented::padded(&problem, &segments, |rows| whole(rows, form).0),
            None => {
                let (output, state) = whole(problem, form);
                return (to_dtype(output, dtype), state);
            }
        },
    };
    let state = match problem.segments.clone() {
        Some(segments) => segmented::state(&problem, &segments),
        None => {
            let seen = problem.seen();
            problem.state(seen)
        }
    };
    (to_dtype(output, dtype), state)
}

/// The output and the state of the rows of a batch, in tensor operations.
fn whole(mut problem: Problem, form: Form) -> (Tensor<4>, AttentionState) {
    let seen = problem.seen();
    let output = match form {
        Form::Naive => naive::naive(&problem, &seen),
        _ => parallel::parallel(&problem, &seen),
    };
    (output, problem.state(seen))
}

/// Which form [`attention`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`attention`] does, if the form asked for cannot be had.
#[track_caller]
pub fn attention_report(time: usize, options: &AttentionOptions, device: &Device) -> Report {
    // One token is no different from many: it sees the whole cache.
    let visible = options.initial_state.as_ref().and_then(|state| state.visible.as_ref());
    let kernel = kernel_on(device, visible);
    let forms = Forms { many_tokens: Form::Parallel, one_token: Form::Parallel, kernel };
    options.form.resolve(time, &forms).with_segments(options.segments.as_ref())
}

/// The kernel that `device` has for a call with a cache of which this is visible.
#[cfg(feature = "flex")]
fn kernel_on(device: &Device, visible: Option<&Tensor<2, Bool>>) -> Option<Kernel> {
    kernel::on(device).filter(|_| visible.is_none_or(kernel::takes))
}

#[cfg(not(feature = "flex"))]
fn kernel_on(_: &Device, _: Option<&Tensor<2, Bool>>) -> Option<Kernel> {
    None
}
