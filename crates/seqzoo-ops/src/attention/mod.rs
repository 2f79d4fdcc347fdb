//! Causal softmax attention with a growing cache, or a sliding window.

mod entries;
pub mod hopfield;
mod masked;
mod naive;
mod parallel;
pub mod sigmoid;

use crate::checks;
use crate::form::{Form, Forms, Report};
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, DType, Device, Tensor};

pub use entries::Entries;

/// The keys and values that later tokens still see.
#[derive(Clone, Debug)]
pub struct AttentionState {
    /// Keys, oldest first, `[B, S, HK, K]`.
    pub keys: Entries,
    /// Values, oldest first, `[B, S, HK, V]`.
    pub values: Entries,
    /// `[B, S]`, false for entries that a reset has hidden from a sequence; absent where nothing is hidden.
    pub visible: Option<Tensor<2, Bool>>,
}

/// Keys and values that every token sees in addition, whatever the window and the resets are: learned ones, for example.
/// They are no part of the cache. Scores are then built in full, also for one token.
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
    /// What every token sees in addition. `None`: nothing.
    pub prefix: Option<Prefix>,
    /// `[B, T]`, true where everything before the token is hidden from it and from later ones.
    pub resets: Option<Tensor<2, Bool>>,
    /// How to compute it: this operator has the forms `Naive` and `Parallel`. The cost of `Parallel` is
    /// quadratic in the number of tokens given at once.
    pub form: Form,
}

/// Causal softmax attention.
///
/// ```text
/// p_ij = softmax over visible j of  scale · q_iᵀ k_j        o_i = Σ_j p_ij v_j
/// ```
///
/// Visible are `j <= i`, with a window `i - j < window`, and no reset in `j+1 ..= i`; and the prefix, if there is one.
///
/// With resets, their positions are read from the device: what no sequence of the batch sees any more leaves the cache.
///
/// # Shapes
///
/// * `query`: `[B, T, H, K]`.
/// * `key`: `[B, T, HK, K]`, `value`: `[B, T, HK, V]`; `HK` divides `H`, and query head `j` reads
///   key head `j / (H / HK)`.
/// * Returns the output `[B, T, H, V]` and the cache after the last token: the keys and values since the earliest of
///   the sequences' last resets, of them with a window the last `max(window - 1, 1)`.
///
/// # Panics
///
/// If a shape disagrees, `HK` does not divide `H`, `T`, `H`, `K`, `V` or the length of a prefix is 0, the window is 0, or
/// a form is asked for that this operator does not have.
///
/// # Finite numbers
///
/// What a reset hides, or a window, does not count even where it is NaN or infinite. An output that sees something
/// infinite is NaN. Whole sequences without resets, window and cache leave to Burn what a token does to those before it
/// that is not finite.
///
/// # Source
///
/// Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762> (sec. 3.2.1); the window: Beltagy et al.
/// 2020, <https://arxiv.org/abs/2004.05150> (sec. 3.1); learned keys and values: Sukhbaatar et al. 2019,
/// <https://arxiv.org/abs/1907.01470> (sec. 4).
#[track_caller]
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    options: AttentionOptions,
) -> (Tensor<4>, AttentionState) {
    let dtype = query.dtype();
    let report = attention_report(query.dims()[1], &options, &query.device());
    let reset = options.resets.is_some();
    let problem = Problem::new(query, key, value, options);
    let (output, state) = match report.form {
        // Of no sequences there is nothing to attend to; the heads of the output are the queries' and its channels the
        // values'.
        _ if problem.query.dims()[0] == 0 => {
            let Problem { query, key, value, .. } = problem;
            let [_, time, heads, _] = query.dims();
            let [_, _, _, channels] = value.dims();
            let output = value.clone().reshape([0, time, heads, channels]);
            (output, AttentionState { keys: key.into(), values: value.into(), visible: None })
        }
        Form::Naive => naive::naive(problem),
        _ => parallel::parallel(problem),
    };
    let state = if reset { state.without_hidden() } else { state };
    (to_dtype(output, dtype), state)
}

/// Which form [`attention`] takes for `time` tokens on `device` under `options`, and why.
///
/// # Panics
///
/// As [`attention`] does, if the form asked for cannot be had.
#[track_caller]
pub fn attention_report(time: usize, options: &AttentionOptions, _device: &Device) -> Report {
    options.form.resolve(time, &FORMS)
}

/// One token is no different from many: it sees the whole cache.
const FORMS: Forms = Forms { many_tokens: Form::Parallel, one_token: Form::Parallel, kernel: None };

/// Arguments after checking, in the accumulator's dtype.
struct Problem {
    query: Tensor<4>, // [b, t, h, k]
    key: Tensor<4>,   // [b, t, hk, k]
    value: Tensor<4>, // [b, t, hk, v]
    cache: Option<AttentionState>,
    scale: f64,
    window: Option<usize>,
    prefix: Option<Prefix>,
    resets: Option<Tensor<2, Bool>>,
}

impl Problem {
    #[track_caller]
    fn new(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, options: AttentionOptions) -> Self {
        let [batch, time, heads, key_dim] = query.dims();
        let [_, _, key_heads, value_dim] = value.dims();
        checks::not_empty("query", "time", time);
        checks::not_empty("query", "head", heads);
        checks::not_empty("query", "channel", key_dim);
        checks::not_empty("value", "channel", value_dim);
        checks::shape("key", &key.dims(), &[("B", batch), ("T", time), ("HK", key_heads), ("K", key_dim)]);
        checks::shape(
            "value",
            &value.dims(),
            &[("B", batch), ("T", time), ("HK", key_heads), ("V", value_dim)],
        );
        checks::divides("key", key_heads, "query", heads);
        assert!(options.window != Some(0), "The window is 0, but at least 1 is wanted: a token sees itself.");
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
        }
        let wide = accumulator(query.dtype());
        let cache = options.initial_state.and_then(|state| {
            let length = state.keys.dims()[1];
            let wanted = [("B", batch), ("S", length), ("HK", key_heads), ("K", key_dim)];
            checks::shape("initial_state.keys", &state.keys.dims(), &wanted);
            let wanted = [("B", batch), ("S", length), ("HK", key_heads), ("V", value_dim)];
            checks::shape("initial_state.values", &state.values.dims(), &wanted);
            if let Some(visible) = &state.visible {
                checks::shape("initial_state.visible", &visible.dims(), &[("B", batch), ("S", length)]);
            }
            (length > 0).then(|| state.widened(wide))
        });
        let prefix = options.prefix.map(|Prefix { query, keys, values }| {
            if let Some(query) = &query {
                let wanted = [("B", batch), ("T", time), ("H", heads), ("K", key_dim)];
                checks::shape("prefix.query", &query.dims(), &wanted);
            }
            let length = keys.dims()[1];
            checks::not_empty("prefix.keys", "time", length);
            let wanted = [("1", 1), ("P", length), ("HK", key_heads), ("K", key_dim)];
            checks::shape("prefix.keys", &keys.dims(), &wanted);
            let wanted = [("1", 1), ("P", length), ("HK", key_heads), ("V", value_dim)];
            checks::shape("prefix.values", &values.dims(), &wanted);
            let wide = |tensor| to_dtype(tensor, wide);
            Prefix { query: query.map(wide), keys: wide(keys), values: wide(values) }
        });
        // What no token can see is not there: what a reset of every sequence hides, and what is out of the window.
        let cleared = options.resets.as_ref().is_some_and(|resets| batch > 0 && all_at_first(resets));
        let in_reach = options.window.map_or(usize::MAX, |window| window - 1);
        let cache = cache.filter(|_| !cleared && in_reach > 0).map(|cache| cache.newest(in_reach));
        Self {
            query: to_dtype(query, wide),
            key: to_dtype(key, wide),
            value: to_dtype(value, wide),
            cache,
            scale: options.scale.unwrap_or((key_dim as f64).powf(-0.5)),
            window: options.window,
            prefix,
            resets: options.resets,
        }
    }
}

/// Whether every sequence is reset before the first token.
fn all_at_first(resets: &Tensor<2, Bool>) -> bool {
    resets.clone().narrow(1, 0, 1).to_data().iter().all(|reset: bool| reset)
}

impl AttentionState {
    /// Only the newest `window - 1` entries (at least one): what the next token can still see.
    fn trimmed(self, window: Option<usize>) -> Self {
        match window {
            Some(window) => self.newest(window.saturating_sub(1).max(1)),
            None => self,
        }
    }

    /// The newest entries, at most `count` of them.
    fn newest(self, count: usize) -> Self {
        let length = self.length();
        if count >= length {
            return self;
        }
        Self {
            keys: self.keys.newest(count),
            values: self.values.newest(count),
            visible: self.visible.map(|visible| visible.narrow(1, length - count, count)),
        }
    }

    /// Without the oldest entries that are hidden from every sequence, and without a mask that hides nothing.
    fn without_hidden(self) -> Self {
        let Some(visible) = &self.visible else { return self };
        let length = self.length();
        let flags: Vec<bool> = visible.to_data().iter().collect();
        let rows = || flags.chunks_exact(length);
        let first = |row: &[bool]| row.iter().position(|visible| *visible).unwrap_or(length);
        let Some(hidden) = rows().map(first).min().filter(|hidden| *hidden < length) else { return self };
        let whole = rows().all(|row| row[hidden..].iter().all(|visible| *visible));
        let state = self.newest(length - hidden);
        if whole { Self { visible: None, ..state } } else { state }
    }

    /// In the dtype `wide`. Entries that are of it keep their room.
    fn widened(self, wide: DType) -> Self {
        let widened = |entries: Entries| match entries.dtype() == wide {
            true => entries,
            false => to_dtype(entries.tensor(), wide).into(),
        };
        Self { keys: widened(self.keys), values: widened(self.values), visible: self.visible }
    }

    /// The number of entries.
    fn length(&self) -> usize {
        self.keys.dims()[1]
    }

    /// `[batch, heads, length, _]` keys and values, repeated for grouped heads.
    fn heads_first(&self, heads: usize) -> (Tensor<4>, Tensor<4>) {
        (
            repeat_heads(self.keys.tensor(), heads).swap_dims(1, 2),
            repeat_heads(self.values.tensor(), heads).swap_dims(1, 2),
        )
    }
}
