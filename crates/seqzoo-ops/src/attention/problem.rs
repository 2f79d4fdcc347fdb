//! Arguments of a call after checking.

use super::{AttentionOptions, AttentionState, Prefix};
use crate::checks;
use crate::precision::{accumulator, to_dtype};
use crate::segments::Segments;
use burn::tensor::{Bool, Tensor};

/// Arguments after checking, in the accumulator's dtype.
#[derive(Clone)]
pub(super) struct Problem {
    pub query: Tensor<4>,              // [b, t, h, k]
    pub key: Tensor<4>,                // [b, t, hk, k]
    pub value: Tensor<4>,              // [b, t, hk, v]
    pub log_decay: Option<Tensor<4>>,  // [b, t, h, 1]
    pub sinks: Option<Tensor<1>>,      // [h]
    pub cache: Option<AttentionState>, // of the sequences: of rows, or of segments
    /// The number of cached entries, and which of them are visible, also when the cache has been taken.
    pub cached: usize,
    pub visible: Option<Tensor<2, Bool>>, // [n, s]
    pub scale: f64,
    pub window: Option<usize>,
    pub bidirectional: bool,
    pub prefix: Option<Prefix>,
    pub resets: Option<Tensor<2, Bool>>,
    pub segments: Option<Segments>,
}

impl Problem {
    #[track_caller]
    pub fn new(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, options: AttentionOptions) -> Self {
        let [batch, time, heads, key_dim] = query.dims();
        let [_, _, key_heads, value_dim] = value.dims();
        checks::not_empty("query", "time", time);
        checks::not_empty("query", "head", heads);
        checks::not_empty("query", "channel", key_dim);
        checks::not_empty("value", "channel", value_dim);
        let entry = |rows: (&'static str, usize), length: (&'static str, usize), channels| {
            [rows, length, ("HK", key_heads), channels]
        };
        let (row, token) = (("B", batch), ("T", time));
        let (keys, values) = (("K", key_dim), ("V", value_dim));
        checks::shape("key", &key.dims(), &entry(row, token, keys));
        checks::shape("value", &value.dims(), &entry(row, token, values));
        checks::divides("key", key_heads, "query", heads);
        assert!(options.window != Some(0), "The window is 0, but at least 1 is wanted: a token sees itself.");
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[row, token]);
        }
        if let Some(log_decay) = &options.log_decay {
            checks::shape("log_decay", &log_decay.dims(), &[row, token, ("H", heads)]);
            assert!(
                !options.bidirectional,
                "The arguments `log_decay` and `bidirectional` are given together, but a decay counts from a key to a later \
                 query."
            );
        }
        if let Some(sinks) = &options.sinks {
            checks::shape("sinks", &sinks.dims(), &[("H", heads)]);
        }
        if let Some(segments) = &options.segments {
            segments.check(batch, time);
        }
        let sequences = checks::sequences(batch, time, options.segments.as_ref());
        let wide = accumulator(query.dtype());
        let decays = options.log_decay.is_some();
        let cache = options.initial_state.and_then(|state| {
            let entries = ("S", state.length());
            checks::shape("initial_state.keys", &state.keys.dims(), &entry(sequences, entries, keys));
            checks::shape("initial_state.values", &state.values.dims(), &entry(sequences, entries, values));
            if let Some(log_decays) = &state.log_decays {
                let wanted = [sequences, entries, ("H", heads), ("1", 1)];
                checks::shape("initial_state.log_decays", &log_decays.dims(), &wanted);
            }
            if let Some(visible) = &state.visible {
                checks::shape("initial_state.visible", &visible.dims(), &[sequences, entries]);
            }
            if state.length() == 0 {
                return None;
            }
            assert!(
                state.log_decays.is_some() == decays,
                "The initial state has {} log decays, but the call has {}: a decay counts for all entries or for none.",
                if decays { "no" } else { "its" },
                if decays { "some" } else { "none" },
            );
            Some(state.widened(wide))
        });
        let prefix = options.prefix.map(|Prefix { query, keys: prefix_keys, values: prefix_values }| {
            if let Some(query) = &query {
                checks::shape("prefix.query", &query.dims(), &[row, token, ("H", heads), keys]);
            }
            let length = ("P", prefix_keys.dims()[1]);
            checks::not_empty("prefix.keys", "time", length.1);
            checks::shape("prefix.keys", &prefix_keys.dims(), &entry(("1", 1), length, keys));
            checks::shape("prefix.values", &prefix_values.dims(), &entry(("1", 1), length, values));
            let wide = |tensor| to_dtype(tensor, wide);
            Prefix { query: query.map(wide), keys: wide(prefix_keys), values: wide(prefix_values) }
        });
        // What no token can see is not there: what a reset of every sequence hides, and what is out of the window.
        let rows = options.segments.is_none() && batch > 0;
        let cleared = options.resets.as_ref().is_some_and(|resets| rows && all_at_first(resets));
        let in_reach = options.window.map_or(usize::MAX, |window| window - 1);
        // An empty segment gives back what it was given, seen or not.
        let in_reach = if options.segments.is_some() { in_reach.max(1) } else { in_reach };
        let cache = cache.filter(|_| !cleared && in_reach > 0).map(|cache| cache.newest(in_reach));
        Self {
            query: to_dtype(query, wide),
            key: to_dtype(key, wide),
            value: to_dtype(value, wide),
            log_decay: options.log_decay.map(|log_decay| to_dtype(log_decay, wide).unsqueeze_dim(3)),
            sinks: options.sinks.map(|sinks| to_dtype(sinks, wide)),
            cached: cache.as_ref().map_or(0, AttentionState::length),
            visible: cache.as_ref().and_then(|cache| cache.visible.clone()),
            cache,
            scale: options.scale.unwrap_or((key_dim as f64).powf(-0.5)),
            window: options.window,
            bidirectional: options.bidirectional,
            prefix,
            resets: options.resets,
            segments: options.segments,
        }
    }

    /// The cache, which is taken, and the tokens after it. It is moved, so that its room is used in place.
    pub fn seen(&mut self) -> AttentionState {
        AttentionState::after(self.cache.take(), self.tokens(), None)
    }

    /// The tokens as entries of a cache.
    fn tokens(&self) -> AttentionState {
        AttentionState {
            keys: self.key.clone().into(),
            values: self.value.clone().into(),
            log_decays: self.log_decay.clone().map(Into::into),
            visible: None,
        }
    }
}

/// Whether every sequence is reset before the first token.
fn all_at_first(resets: &Tensor<2, Bool>) -> bool {
    resets.clone().narrow(1, 0, 1).to_data().iter().all(|reset: bool| reset)
}
