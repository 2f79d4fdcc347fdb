#![doc = include_str!("README.md")]

mod chunked;
mod fitting;
mod naive;
mod norm;
mod options;
mod problem;

pub use options::{InnerModel, InnerNorm, Residual, Steps, TttOptions, TttState};

use crate::form::{Form, Forms, Report};
use crate::precision::to_dtype;
use burn::tensor::{Device, Tensor};
use problem::Problem;

/// The most tokens that the chunked form works on at once by itself.
const BLOCK: usize = 64;

/// Test-time training (TTT-Linear and TTT-MLP): an inner model per sequence and head, whose weights take a step of
/// gradient descent with every token.
///
/// ```text
/// f(x) = x W + b    or    f(x) = GELU(x W1 + b1) W2 + b2    or deeper
/// ℓ_s  = ½ ‖LN(f(k_s)) ⊙ w + c - (v_s - k_s)‖²        at the weights W before the first token of the chunk
/// W_t  = W - η_t Σ_{s ≤ t} λ_s ∇ℓ_s                   over the tokens s of the chunk up to t; biases alike
/// y_t  = f(scale · q_t)                               with the weights W_t
/// o_t  = y_t + LN(y_t) ⊙ w + c                        or, with Residual::Query, scale · q_t + LN(y_t) ⊙ w + c
/// ```
///
/// The next chunk starts from `W_t` of the last token. `LN` is a layer norm, `GELU` the exact one (the authors' programs
/// have the approximation by `tanh`). In words: the key asks the inner model, which is to answer with the difference of value
/// and key; the query reads it after the write. The token that *reads* says by `η` how far the weights have gone, for the
/// whole chunk up to itself; the token that writes weighs its own gradient by `λ`. The paper's learning rate is
/// `η_t = 1/t` (learned) times `λ_s`, a sigmoid; flash-linear-attention has `η` alone.
///
/// # Shapes
///
/// * `query`, `key`: `[B, T, HK, K]`; `HK` divides `H`, and head `j` reads key head `j / (H / HK)`.
/// * `value`: `[B, T, H, K]`, as many channels as the keys.
/// * `steps`: see [`Steps`].
/// * `model`: the initial weights, `[B, H, in, out]` and biases `[B, H, 1, out]` per layer, or with `1` instead of `B` for all
///   sequences; the first layer takes `K` channels, the last gives `K`.
/// * `norm`: gain and offset, `[H, K]` each.
/// * Returns the output `[B, T, H, K]` and the [state](TttState) after the last token.
///
/// Output and state are differentiable in every argument, the initial weights and the initial state included, also
/// through the gradients in the law.
///
/// # Panics
///
/// If a shape disagrees, `T`, `H` or a number of channels is 0, the chunk of the options is 0, a state stands outside of
/// a chunk, a chunk size of the form is not a power of two, or a form is asked for that this operator does not have.
///
/// # Finite numbers
///
/// The gradient of the layer norm is divided by the deviation of what the inner model answers: weights near zero learn
/// in large steps, up to `ε^-1/2` times those of weights near one. Nothing bounds the weights, but larger ones learn more
/// slowly. Inputs must be finite: in chunks, one that is not reaches the outputs of earlier tokens of its block.
///
/// # Sources
///
/// Sun et al. 2024, <https://arxiv.org/abs/2407.04620> (sec. 2.4 and 2.5: mini-batches and the dual form; sec. 2.7: the
/// layer norm, the residual and the learned step).
///
/// # Example
///
/// With steps of 0 nothing is learned, and the operator is its inner model:
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use seqzoo_ops::ttt::{InnerModel, InnerNorm, Steps, TttOptions, ttt};
///
/// let device = Device::default();
/// let tokens = Tensor::<4>::from_floats([[[[3.0, 1.0]], [[0.0, 4.0]]]], &device); // [b, t, h, k] = [1, 2, 1, 2]
/// let steps = Steps { read: Tensor::zeros([1, 2, 1], &device), write: None };
/// let model = InnerModel {
///     weights: vec![Tensor::from_floats([[[[1.0, 0.0], [0.0, 1.0]]]], &device)],
///     biases: vec![Tensor::zeros([1, 1, 1, 2], &device)],
/// };
/// let norm = InnerNorm { gain: Tensor::ones([1, 2], &device), offset: Tensor::zeros([1, 2], &device) };
/// let options = TttOptions { scale: Some(1.0), ..Default::default() };
/// let (output, _) = ttt(tokens.clone(), tokens.clone(), tokens, steps, model, norm, options);
/// // Two channels are normalised to 1 and -1.
/// let wanted = Tensor::<4>::from_floats([[[[4.0, 0.0]], [[-1.0, 5.0]]]], &device);
/// assert!((output - wanted).abs().max().into_scalar::<f32>() < 1e-5);
/// ```
#[track_caller]
pub fn ttt(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    steps: Steps,
    model: InnerModel,
    norm: InnerNorm,
    options: TttOptions,
) -> (Tensor<4>, TttState) {
    let dtype = query.dtype();
    let report = ttt_report(query.dims()[1], &options, &query.device());
    let problem = Problem::checked([query, key, value], steps, model, norm, options);
    if problem.is_empty() {
        // Of no sequences the targets are the output, and the inner model stays as it is.
        return (to_dtype(problem.target, dtype), problem.state);
    }
    let (output, state) = match report.form {
        Form::Chunked { size } => chunked::chunked(problem, size),
        _ => naive::naive(problem),
    };
    (to_dtype(output, dtype), state)
}

/// Which form [`ttt`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`ttt`] does, if the form asked for cannot be had.
#[track_caller]
pub fn ttt_report(time: usize, options: &TttOptions, device: &Device) -> Report {
    let _ = device; // no device has a kernel
    if options.form == Form::Auto && options.chunk == 1 {
        return Report::form(Form::Naive, "chunks of one token");
    }
    let many_tokens = Form::Chunked { size: BLOCK.min(options.chunk.max(1)) };
    options.form.resolve(time, &Forms { many_tokens, one_token: Form::Naive, kernel: None })
}
