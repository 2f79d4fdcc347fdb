//! Sigmoid attention: every weight by itself, and no sum over a row.

use super::masked::tamed;
use super::masks::{hidden, parts};
use super::{AttentionOptions, AttentionState, Problem};
use crate::checks;
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, Tensor, activation::sigmoid};

/// Options of [`sigmoid_attention`].
#[derive(Clone, Debug, Default)]
pub struct SigmoidAttentionOptions {
    /// The cache before the first token. `None`: empty.
    pub initial_state: Option<AttentionState>,
    /// Multiplies the scores. `None`: `K^-1/2`.
    pub scale: Option<f64>,
    /// Added to the scores: `−log(n)` for sequences of `n` tokens, so that a row of weights begins with a sum of about 1.
    /// Default: `0.0`.
    pub bias: f64,
    /// `[B, T]`, true where everything before the token is hidden from it and from later ones.
    pub resets: Option<Tensor<2, Bool>>,
}

/// Causal sigmoid attention.
///
/// ```text
/// o_i = Σ_{j ≤ i} sigmoid(scale · q_iᵀ k_j + bias) v_j
/// ```
///
/// There is one form, the whole matrix of scores at once; one token is a row of it.
///
/// # Shapes
///
/// * `query`: `[B, T, H, K]`.
/// * `key`: `[B, T, HK, K]`, `value`: `[B, T, HK, V]`; `HK` divides `H`, and query head `j` reads key head `j / (H / HK)`.
/// * Returns the output `[B, T, H, V]` and the cache after the last token, as [`attention`](super::attention) does.
///
/// # Panics
///
/// If a shape disagrees, `HK` does not divide `H`, or `T`, `H`, `K` or `V` is 0.
///
/// # Finite numbers
///
/// What is later or hidden by a reset does not count even where it is NaN or infinite. An output that sees something
/// infinite is NaN.
///
/// # Source
///
/// Ramapuram et al. 2024, <https://arxiv.org/abs/2409.04431>.
#[track_caller]
pub fn sigmoid_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: SigmoidAttentionOptions,
) -> (Tensor<4>, AttentionState) {
    let SigmoidAttentionOptions { initial_state, scale, bias, resets } = options;
    let dtype = query.dtype();
    let options = AttentionOptions { initial_state, scale, resets, ..Default::default() };
    let mut problem = Problem::new(query, key, value, options);
    let [batch, time, heads, _] = problem.query.dims();
    let cached = problem.cached;
    let seen = problem.seen();
    let (keys, values) = (seen.keys.tensor(), seen.values.tensor());
    let output = if batch == 0 {
        problem.value.clone().reshape([0, time, heads, values.dims()[3]])
    } else {
        let parts = parts(&problem);
        let (places, all) = (cached..cached + time, 0..cached + time);
        let masked = time > 1 || parts.is_some();
        let hidden = masked.then(|| hidden(&problem, parts.as_ref(), &places, &all));
        read(problem.query.clone(), keys, values, problem.scale, bias, hidden)
    };
    (to_dtype(output, dtype), problem.state(seen))
}

/// Sigmoid attention of every token to every token of its sequence, later ones included: [`sigmoid_attention`] without
/// `j ≤ i`. It has no state, since what a token reads is not known before the last one.
///
/// # Shapes
///
/// As [`sigmoid_attention`] has them; `key` and `value` may be of other tokens than `query`: `[B, S, HK, _]`.
///
/// # Panics
///
/// As [`sigmoid_attention`], or if `S` is 0.
#[track_caller]
pub fn sigmoid_attention_to_all(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    scale: Option<f64>,
    bias: f64,
) -> Tensor<4> {
    let [batch, time, heads, key_dim] = query.dims();
    let [_, length, key_heads, value_dim] = value.dims();
    checks::not_empty("query", "time", time);
    checks::not_empty("query", "head", heads);
    checks::not_empty("query", "channel", key_dim);
    checks::not_empty("value", "time", length);
    checks::not_empty("value", "channel", value_dim);
    checks::shape("key", &key.dims(), &[("B", batch), ("S", length), ("HK", key_heads), ("K", key_dim)]);
    checks::shape(
        "value",
        &value.dims(),
        &[("B", batch), ("S", length), ("HK", key_heads), ("V", value_dim)],
    );
    checks::divides("key", key_heads, "query", heads);
    let dtype = query.dtype();
    if batch == 0 {
        return Tensor::zeros([0, time, heads, value_dim], (&query.device(), dtype));
    }
    let wide = |tensor| to_dtype(tensor, accumulator(dtype));
    let scale = scale.unwrap_or((key_dim as f64).powf(-0.5));
    to_dtype(read(wide(query), wide(key), wide(value), scale, bias, None), dtype)
}

/// `[b, t, h, k]` queries, `[b, s, hk, _]` keys and values, and what is `hidden`, `[b|1, 1, t, s]`, to `[b, t, h, v]`.
fn read(
    query: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    scale: f64,
    bias: f64,
    hidden: Option<Tensor<4, Bool>>,
) -> Tensor<4> {
    let heads = query.dims()[2];
    let heads_first = |x: Tensor<4>| repeat_heads(x, heads).swap_dims(1, 2); // [b, h, s, _]
    let weights = |keys| {
        let scores = query.swap_dims(1, 2).matmul(heads_first(keys).swap_dims(2, 3));
        sigmoid(scores.mul_scalar(scale).add_scalar(bias)) // [b, h, t, s]
    };
    let Some(hidden) = hidden else {
        return weights(keys).matmul(heads_first(values)).swap_dims(1, 2);
    };
    let (keys, wild_keys) = tamed(keys);
    let (values, wild_values) = tamed(values);
    let weights = weights(keys);
    let weights = weights.clone().mask_fill(hidden.clone().expand(weights.dims()), 0.0);
    let output = weights.matmul(heads_first(values));
    let wild = heads_first(wild_keys.bool_or(wild_values).float()); // [b, h, s, 1]
    let poisoned = hidden.bool_not().float().matmul(wild).greater_scalar(0.0);
    output.clone().mask_fill(poisoned.expand(output.dims()), f64::NAN).swap_dims(1, 2)
}
