//! The checked problem that every form solves.

use super::{Beta, Decay, DeltaRuleOptions, Keys, keys};
use crate::checks;
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, Tensor};

/// Arguments after checking: wide dtype, equal heads, a scale and a memory.
pub(super) struct Problem {
    pub query: Tensor<4>, // [b, t, h, k]
    pub key: Tensor<4>,   // [b, t, h, k]
    pub value: Tensor<4>, // [b, t, h, v]
    pub beta: Tensor<4>,  // [b, t, h, 1] or [b, t, h, v]
    pub decay: Decay,
    pub resets: Option<Tensor<2, Bool>>, // [b, t]
    pub memory: Tensor<4>,               // [b, h, k, v]
    pub scale: f64,                      // of the query
    pub bounded: bool,                   // whether longer keys than `Keys::Bounded` allows are refused
}

impl Problem {
    #[track_caller]
    pub fn new(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        beta: Beta,
        decay: Decay,
        options: DeltaRuleOptions,
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
        let beta = match beta {
            Beta::Scalar(beta) => {
                let found = beta.dims()[2];
                checks::shape("beta", &beta.dims(), &[("B", batch), ("T", time), ("H", found)]);
                beta.unsqueeze_dim(3)
            }
            Beta::Vector(beta) => {
                let found = beta.dims()[2];
                let wanted = [("B", batch), ("T", time), ("H", found), ("V", value_dim)];
                checks::shape("beta", &beta.dims(), &wanted);
                beta
            }
        };
        checks::divides("beta", beta.dims()[2], "value", heads);
        let beta = repeat_heads(to_dtype(beta, wide), heads);
        let memory = match options.initial_state {
            Some(memory) => {
                let wanted = [("B", batch), ("H", heads), ("K", key_dim), ("V", value_dim)];
                checks::shape("initial_state", &memory.dims(), &wanted);
                to_dtype(memory, wide)
            }
            None => Tensor::zeros([batch, heads, key_dim, value_dim], (&device, wide)),
        };
        let (query, key) = keys::treat(options.keys, to_dtype(query, wide), to_dtype(key, wide));

        Self {
            query: repeat_heads(query, heads),
            key: repeat_heads(key, heads),
            value: to_dtype(value, wide),
            beta,
            decay: decay.checked([batch, time, heads, key_dim], wide),
            resets: options.resets,
            memory,
            scale: options.scale.unwrap_or((key_dim as f64).powf(-0.5)),
            bounded: options.keys == Keys::Bounded,
        }
    }
}
