//! The checked problem that every form solves.

use super::{Decay, LinearAttentionOptions, LinearAttentionState};
use crate::checks;
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, Tensor};

/// Arguments after checking: wide dtype, equal heads, a scale and a state.
pub(super) struct Problem {
    pub query: Tensor<4>, // [b, t, h, k]
    pub key: Tensor<4>,   // [b, t, h, k]
    pub value: Tensor<4>, // [b, t, h, v]
    pub decay: Decay,
    pub resets: Option<Tensor<2, Bool>>, // [b, t]
    pub state: LinearAttentionState,
    pub scale: f64, // of the query
    pub normaliser: Option<f64>,
}

impl Problem {
    #[track_caller]
    pub fn new(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        decay: Decay,
        options: LinearAttentionOptions,
    ) -> Self {
        let [batch, time, key_heads, key_dim] = query.dims();
        let [_, _, heads, value_dim] = value.dims();
        let (device, wide) = (value.device(), accumulator(query.dtype()));

        checks::not_empty("query", "time", time);
        checks::not_empty("query", "channel", key_dim);
        checks::not_empty("value", "channel", value_dim);
        checks::shape("key", &key.dims(), &[("B", batch), ("T", time), ("HK", key_heads), ("K", key_dim)]);
        checks::shape("value", &value.dims(), &[("B", batch), ("T", time), ("H", heads), ("V", value_dim)]);
        checks::divides("query", key_heads, "value", heads);
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
        }

        let decay = decay.checked([batch, time, heads, key_dim], wide);
        let state = match options.initial_state {
            Some(LinearAttentionState { memory, key_sum }) => {
                let wanted = [("B", batch), ("H", heads), ("K", key_dim), ("V", value_dim)];
                checks::shape("initial_state.memory", &memory.dims(), &wanted);
                let key_sum = options.normaliser.map(|_| {
                    let sum = key_sum.expect(
                        "A normaliser was asked for, but `initial_state.key_sum` is absent; \
                         pass the state that a normalised call returned.",
                    );
                    checks::shape("initial_state.key_sum", &sum.dims(), &wanted[..3]);
                    to_dtype(sum, wide)
                });
                LinearAttentionState { memory: to_dtype(memory, wide), key_sum }
            }
            None => LinearAttentionState {
                memory: Tensor::zeros([batch, heads, key_dim, value_dim], (&device, wide)),
                key_sum: options.normaliser.map(|_| Tensor::zeros([batch, heads, key_dim], (&device, wide))),
            },
        };

        Self {
            query: repeat_heads(to_dtype(query, wide), heads),
            key: repeat_heads(to_dtype(key, wide), heads),
            value: to_dtype(value, wide),
            decay,
            resets: options.resets,
            state,
            scale: options.scale.unwrap_or((key_dim as f64).powf(-0.5)),
            normaliser: options.normaliser,
        }
    }
}
