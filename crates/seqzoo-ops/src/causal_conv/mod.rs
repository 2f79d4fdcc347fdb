//! Short causal depthwise convolution with its rolling state; a long one is in [`long`].

mod ending;
pub mod kernel;
pub mod long;
mod naive;
mod parallel;

use crate::checks;
use crate::form::{Form, Forms, Report};
use crate::precision::{accumulator, to_dtype};
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Bool, Device, Tensor, activation::silu};

/// Options of [`causal_conv`].
#[derive(Clone, Debug, Default)]
pub struct CausalConvOptions {
    /// Added to every output channel, `[D]`.
    pub bias: Option<Tensor<1>>,
    /// Whether the outputs go through `silu`, `x / (1 + e^-x)`.
    pub silu: bool,
    /// The last `width - 1` inputs before the first token, oldest first, `[B, width - 1, D]`, or
    /// `[N, width - 1, D]` of `N` segments. `None`: zeros.
    pub initial_state: Option<Tensor<3>>,
    /// `[B, T]`, true where the state is cleared before the token.
    pub resets: Option<Tensor<2, Bool>>,
    /// Several sequences in every row, each with a state of its own. `None`: every row is one sequence.
    pub segments: Option<Segments>,
    /// How to compute it: this operator has the forms `Naive`, `Parallel` and `Kernel`.
    pub form: Form,
}

/// Short causal depthwise convolution.
///
/// ```text
/// y_t = bias + Σ_{j=0}^{W-1} weight[:, j] ⊙ x_{t-W+1+j}          [ then silu(y_t) ]
/// ```
///
/// The last tap multiplies the current token, as in PyTorch's `Conv1d` with left padding.
///
/// # Shapes
///
/// * `input`: `[B, T, D]`; `weight`: `[D, W]` with `W >= 2`.
/// * Returns the output `[B, T, D]` and the state after the last token: the last `W - 1` inputs,
///   oldest first, `[B, W - 1, D]`, with zeros for tokens before the last reset.
/// * With [`Segments`], `N` of them, a row holds several sequences: states are `[N, W - 1, D]`, before and after. The kernel
///   takes them as they lie; other forms pad them to the longest, and the report says so.
///
/// # Panics
///
/// If a shape or the segments disagree, `T` or `D` is 0, `W` is less than 2, or a form is asked for that this operator does
/// not have.
#[track_caller]
pub fn causal_conv(
    input: Tensor<3>,
    weight: Tensor<2>,
    options: CausalConvOptions,
) -> (Tensor<3>, Tensor<3>) {
    let dtype = input.dtype();
    let report = causal_conv_report(input.dims()[1], &options, &input.device());
    let problem = Problem::new(input, weight, options);
    let (output, state) = match report.form {
        // Of no sequences the inputs are the output.
        _ if problem.input.dims()[0] == 0 => (problem.input, problem.state),
        Form::Kernel => of_segments(problem, true, kernel::run),
        Form::Parallel => of_segments(problem, false, |problem| activated(problem, parallel::parallel)),
        _ => of_segments(problem, false, |problem| activated(problem, naive::naive)),
    };
    (to_dtype(output, dtype), state)
}

/// Runs a form, on a batch of the segments where it does not take them as they lie, or where such a batch is cheap.
fn of_segments(
    problem: Problem,
    as_they_lie: bool,
    form: impl FnOnce(Problem) -> (Tensor<3>, Tensor<3>),
) -> (Tensor<3>, Tensor<3>) {
    match problem.segments.clone() {
        Some(segments) if segments.are_even() => {
            let (unpacking, initial) = (Unpacking::new(segments), problem.state.clone());
            let (output, last) = form(Problem {
                input: unpacking.unpack(problem.input),
                state: unpacking.states(problem.state),
                resets: problem.resets.map(|resets| unpacking.unpack_resets(resets)),
                segments: None,
                ..problem
            });
            (unpacking.pack(output), unpacking.final_states(last, initial))
        }
        Some(segments) if !as_they_lie => ending::at_the_ends(problem, &segments, form),
        _ => form(problem),
    }
}

/// Which form [`causal_conv`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`causal_conv`] does, if the form asked for cannot be had.
#[track_caller]
pub fn causal_conv_report(time: usize, options: &CausalConvOptions, device: &Device) -> Report {
    let segments = options.segments.as_ref();
    let time = segments.map_or(time, Segments::longest);
    options.form.resolve(time, &Forms::parallel(kernel::on(device))).with_segments(segments)
}

/// A form, and then the activation.
fn activated(problem: Problem, form: impl Fn(Problem) -> (Tensor<3>, Tensor<3>)) -> (Tensor<3>, Tensor<3>) {
    let activation = problem.silu;
    let (output, state) = form(problem);
    (if activation { silu(output) } else { output }, state)
}

/// Arguments after checking, in the accumulator's dtype.
struct Problem {
    input: Tensor<3>,  // [b, t, d]
    weight: Tensor<2>, // [d, w]
    bias: Option<Tensor<1>>,
    silu: bool,
    state: Tensor<3>, // [b, w - 1, d], or [n, w - 1, d] of n segments
    resets: Option<Tensor<2, Bool>>,
    segments: Option<Segments>,
}

impl Problem {
    #[track_caller]
    fn new(input: Tensor<3>, weight: Tensor<2>, options: CausalConvOptions) -> Self {
        let [batch, time, channels] = input.dims();
        let [_, width] = weight.dims();
        checks::not_empty("input", "time", time);
        checks::not_empty("input", "channel", channels);
        checks::shape("weight", &weight.dims(), &[("D", channels), ("W", width)]);
        assert!(
            width >= 2,
            "The argument `weight` has {width} taps, but at least 2 are wanted; one tap is a plain product."
        );
        if let Some(bias) = &options.bias {
            checks::shape("bias", &bias.dims(), &[("D", channels)]);
        }
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
        }
        let sequences = checks::sequences(batch, time, options.segments.as_ref());
        let wide = accumulator(input.dtype());
        let state = match options.initial_state {
            Some(state) => {
                let wanted = [sequences, ("W - 1", width - 1), ("D", channels)];
                checks::shape("initial_state", &state.dims(), &wanted);
                to_dtype(state, wide)
            }
            None => Tensor::zeros([sequences.1, width - 1, channels], (&input.device(), wide)),
        };
        Self {
            input: to_dtype(input, wide),
            weight: to_dtype(weight, wide),
            bias: options.bias.map(|bias| to_dtype(bias, wide)),
            silu: options.silu,
            state,
            resets: options.resets,
            segments: options.segments,
        }
    }
}
