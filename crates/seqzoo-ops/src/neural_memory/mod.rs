#![doc = include_str!("README.md")]

mod chunked;
pub(crate) mod kernel;
mod memory;
mod mixing;
mod naive;
mod network;
mod options;
mod problem;
mod segments;
mod surprise;

pub use options::{Gates, NeuralMemoryOptions, NeuralMemoryState};
pub use surprise::Surprise;

use crate::checks;
use crate::fast_weights::{layout, places};
use crate::form::{Form, Forms, Report};
use crate::precision::to_dtype;
use crate::segments::Segments;
use burn::tensor::{DType, Device, Tensor};
use network::Network;
use problem::Problem;

/// The most tokens that the chunked form works on at once by itself.
const BLOCK: usize = 64;

/// The neural memory of Titans: a small network whose weights learn, token by token, to answer keys with values.
///
/// ```text
/// S_t = η_t S_{t-1} - θ_t ∇ ‖M(k_t) - v_t‖²        the gradient at the weights where the chunk starts
/// W_t = (1 - α_t) W_{t-1} + S_t
/// o_t = M(q_t) with the weights W_t
/// ```
///
/// `M` is a product of matrices with exact GELU between them, without biases: one matrix is the linear memory. In words:
/// the key asks the memory, the difference between its answer and the value says which way the weights should move, the
/// momentum `S` turns that way, and the weights forget a little and follow the momentum. The query reads the memory
/// after the write, with the weights of its own token.
///
/// # Shapes
///
/// * `query`, `key`: `[B, T, HK, K]`; `HK` divides `H`, and head `j` reads key head `j / (H / HK)`.
/// * `value`: `[B, T, H, V]`.
/// * `gates`: see [`Gates`].
/// * `weights`: the initial weights, one tensor `[B, H, in, out]` per layer, or `[1, H, in, out]` for all sequences;
///   the first takes `K` channels, the last gives `V`.
/// * Returns the output `[B, T, H, V]` and the [state](NeuralMemoryState) after the last token.
/// * With [`Segments`], `N` of them, a row holds several sequences: states have `N` in place of `B`, before and
///   after, and weights that are not the same for all are `[N, H, in, out]`. There is a call for each of their
///   [parts](Segments::parts), and nothing is padded.
///
/// Output and state are differentiable in every argument, the initial weights and the initial state included, also
/// through the gradients in the law.
///
/// # Panics
///
/// If a shape disagrees, `T`, `H` or a number of channels is 0, there are more than 32 layers, the chunk of the options is
/// 0, a state is of other chunks or stands outside of one, a chunk size of the form is not a power of two, or a form is
/// asked for that this operator does not have, or has not for surprise.
///
/// # Finite numbers
///
/// Nothing bounds the weights. A linear memory with unit keys is safe while `2 Σ θ` over the tokens of a chunk, divided
/// by `1 - η`, stays below 2; beyond that it may diverge where keys resemble each other. What is no number then stays in
/// its sequence and head, and leaves it at the next reset; gradients of what all sequences share are lost. Inputs must
/// be finite: in chunks, one that is not reaches the outputs of earlier tokens of its block.
///
/// # Sources
///
/// Behrouz et al. 2024, <https://arxiv.org/abs/2501.00663> (sec. 3.1, equations 8 to 15: the law; sec. 3.2: chunks).
///
/// # Example
///
/// A linear memory, online, that replaces what it holds under a key: one step of `θ = 1/2` along a unit key.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use seqzoo_ops::neural_memory::{Gates, NeuralMemoryOptions, neural_memory};
///
/// let device = Device::default();
/// // Two orthogonal keys, the first of them twice: [b, t, h, k] = [1, 3, 1, 2].
/// let key = Tensor::<4>::from_floats([[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]]], &device);
/// let value = Tensor::<4>::from_floats([[[[5.0]], [[7.0]], [[6.0]]]], &device);
/// let zeros = Tensor::<3>::zeros([1, 3, 1], &device);
/// let gates = Gates { forget: zeros.clone(), momentum: zeros.clone(), step: zeros.add_scalar(0.5) };
/// let weights = vec![Tensor::zeros([1, 1, 2, 1], &device)];
/// let options = NeuralMemoryOptions { chunk: 1, ..Default::default() };
/// let (_, state) = neural_memory(key.clone(), key, value, gates, weights, options);
/// let held = state.weights[0].clone().into_data().convert::<f32>().to_vec::<f32>().unwrap();
/// assert_eq!(held, [6.0, 7.0]);
/// ```
#[track_caller]
pub fn neural_memory(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    gates: Gates,
    weights: Vec<Tensor<4>>,
    options: NeuralMemoryOptions,
) -> (Tensor<4>, NeuralMemoryState) {
    if let Some(segments) = options.segments.clone() {
        return segments::run([query, key, value], gates, weights, options, &segments);
    }
    let dtype = query.dtype();
    let report = neural_memory_report(query.dims()[1], weights.len(), &options, &query.device());
    let problem = Problem::checked(query, key, value, gates, weights, options);
    if problem.is_empty() {
        // Of no sequences the values are the output, and the memory stays as it is.
        let surprise = problem.surprise.then(|| Surprise::of_none(&problem.value));
        return (to_dtype(problem.value, dtype), NeuralMemoryState { surprise, ..problem.state });
    }
    let (output, state) = match report.form {
        Form::Chunked { size } => chunked::chunked(problem, size),
        Form::Kernel => kernel::run(problem),
        _ => naive::naive(problem),
    };
    (to_dtype(output, dtype), state)
}

/// What a memory of these weights answers: nothing is stored.
///
/// # Shapes
///
/// * `query`: `[B, T, H, K]`.
/// * `weights`: `[B, H, in, out]` for every layer, such as those of a [state](NeuralMemoryState).
/// * `residual`: whether the answer is added to the query, as in [`NeuralMemoryOptions`].
/// * Returns `[B, T, H, V]`, in the dtype of the query.
///
/// # Panics
///
/// If there are no layers, or a shape disagrees.
#[track_caller]
pub fn retrieve(query: Tensor<4>, weights: &[Tensor<4>], residual: bool) -> Tensor<4> {
    assert!(!weights.is_empty(), "The argument `weights` is empty, but a memory has at least one layer.");
    let dtype = query.dtype();
    let [batch, time, heads, mut channels] = query.dims();
    for (layer, weights) in weights.iter().enumerate() {
        let out = weights.dims()[3];
        let wanted = [("B", batch), ("H", heads), ("in", channels), ("out", out)];
        checks::shape(&format!("weights[{layer}]"), &weights.dims(), &wanted);
        channels = out;
    }
    checks::not_empty("query", "time", time);
    if residual {
        checks::channels("query", query.dims()[3], channels);
    }
    if batch == 0 {
        return Tensor::zeros([0, time, heads, channels], (&query.device(), dtype));
    }
    let wide = match [dtype, weights[0].dtype()].contains(&DType::F64) {
        true => DType::F64,
        false => DType::F32,
    };
    let query = to_dtype(query, wide).swap_dims(1, 2); // [b, h, t, k]
    let product = |layer: usize, input: Tensor<4>| input.matmul(to_dtype(weights[layer].clone(), wide));
    let answer = Network { residual }.answer(query, weights.len(), product);
    to_dtype(answer.swap_dims(1, 2), dtype)
}

/// Which form [`neural_memory`] takes for `time` tokens and a memory of so many layers on `device` under `options`, and
/// why. The native CPU kernel takes any number of layers, the CubeCL kernel one.
///
/// # Panics
///
/// As [`neural_memory`] does, if the form asked for cannot be had.
#[track_caller]
pub fn neural_memory_report(
    time: usize,
    layers: usize,
    options: &NeuralMemoryOptions,
    device: &Device,
) -> Report {
    let time = options.segments.as_ref().map_or(time, Segments::longest);
    assert!(
        options.form != Form::Kernel || !options.surprise,
        "The form `Kernel` was asked for, but no kernel tells surprise; use `Form::Auto`."
    );
    let many_tokens = Form::Chunked { size: BLOCK.min(options.chunk.max(1)) };
    if options.form == Form::Auto && options.surprise {
        let form = if time == 1 || options.chunk == 1 { Form::Naive } else { many_tokens };
        return Report::form(form, "surprise is asked for, which no kernel tells");
    }
    let kernel = kernel::on(device, layers);
    if options.form == Form::Auto && options.chunk == 1 && kernel.is_none() {
        return Report::form(Form::Naive, "chunks of one token; the device has no kernel");
    }
    options.form.resolve(time, &Forms { many_tokens, one_token: Form::Naive, kernel })
}
