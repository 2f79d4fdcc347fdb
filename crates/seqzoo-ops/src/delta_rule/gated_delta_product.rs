//! Several steps of the delta rule per token.

use super::{Beta, Decay, DeltaRuleOptions, delta_rule};
use crate::checks;
use burn::tensor::{Bool, Tensor};

/// The gated delta product: `N` steps of the delta rule per token, with one decay in front of them and one reading
/// after them.
///
/// ```text
/// S_t = ∏_{j=N..1} (I - β_tj k_tj k_tjᵀ) · diag(a_t) S_{t-1} + …        o_t = scale · S_tᵀ q_t
/// ```
///
/// where every step also writes, as in [`delta_rule`]. A product of `N` reflections is any orthogonal map that leaves
/// all but `N` dimensions alone: two of them rotate, which one cannot.
///
/// It is [`delta_rule`] over `N·T` steps, of which only the first of each token decays and only the last is read.
///
/// # Shapes
///
/// * `query`: `[B, T, HK, K]`.
/// * `key`: `[B, T·N, HK, K]`, `value`: `[B, T·N, H, V]`, and `beta` as [`Beta`] with `T·N` for `T`: the steps of a token
///   lie next to each other, in order.
/// * `decay` and `options`: as for `T` tokens; a reset comes before the first step of its token, and segments have the
///   tokens' lengths.
/// * Returns the output `[B, T, H, V]` and the memory after the last token, `[B, H, K, V]` (`[N, H, K, V]` of segments).
///
/// # Panics
///
/// If `steps` is 0, or where [`delta_rule`] does.
///
/// # Source
///
/// Siems et al. 2025, <https://arxiv.org/abs/2502.10297> (sec. 4).
#[track_caller]
pub fn gated_delta_product(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    beta: Beta,
    decay: Decay,
    steps: usize,
    options: DeltaRuleOptions,
) -> (Tensor<4>, Tensor<4>) {
    assert!(steps > 0, "The argument `steps` is 0, but at least 1 step per token is wanted.");
    let [batch, time, key_heads, key_dim] = query.dims();
    checks::not_empty("query", "time", time);
    let wanted = [("B", batch), ("T·N", time.saturating_mul(steps)), ("HK", key_heads), ("K", key_dim)];
    checks::shape("key", &key.dims(), &wanted);
    let query = spread(query, steps, Place::Last);
    let decay = match decay {
        Decay::None => Decay::None,
        Decay::PerHead(log) => {
            let heads = log.dims()[0];
            // A sum and no `expand`, which refuses extents of 0.
            let zeros = Tensor::zeros([batch, time, heads, 1], (&log.device(), log.dtype()));
            let log = zeros + log.reshape([1, 1, heads, 1]);
            Decay::Scalar(spread(log, steps, Place::First).squeeze_dim(3))
        }
        Decay::Scalar(log) => Decay::Scalar(spread(log.unsqueeze_dim(3), steps, Place::First).squeeze_dim(3)),
        Decay::Vector(log) => Decay::Vector(spread(log, steps, Place::First)),
    };
    checks::sequences(batch, time, options.segments.as_ref());
    let options = DeltaRuleOptions {
        resets: options.resets.map(|resets| first(resets, steps)),
        segments: options.segments.map(|segments| segments.stretched(steps)),
        ..options
    };
    let (output, memory) = delta_rule(query, key, value, beta, decay, options);
    let [_, _, heads, values] = output.dims();
    let output = output.reshape([batch, time, steps, heads * values]).narrow(2, steps - 1, 1);
    (output.reshape([batch, time, heads, values]), memory)
}

#[derive(PartialEq)]
enum Place {
    First,
    Last,
}

/// `[b, t, h, d]` at one place of every `steps`, and zeros at the others: `[b, t·steps, h, d]`.
fn spread(tokens: Tensor<4>, steps: usize, place: Place) -> Tensor<4> {
    if steps == 1 {
        return tokens;
    }
    let [batch, time, heads, channels] = tokens.dims();
    let tokens = tokens.unsqueeze_dim::<5>(2);
    let zeros = Tensor::zeros([batch, time, steps - 1, heads, channels], (&tokens.device(), tokens.dtype()));
    let parts = if place == Place::First { vec![tokens, zeros] } else { vec![zeros, tokens] };
    Tensor::cat(parts, 2).reshape([batch, time * steps, heads, channels])
}

/// Resets before the first of every `steps`.
fn first(resets: Tensor<2, Bool>, steps: usize) -> Tensor<2, Bool> {
    let [batch, time] = resets.dims();
    let numbers = resets.int().unsqueeze_dim::<3>(2);
    let rest = numbers.zeros_like().repeat_dim(2, steps - 1);
    let all = if steps == 1 { numbers } else { Tensor::cat(vec![numbers, rest], 2) };
    all.reshape([batch, time * steps]).bool()
}
