//! The checked arguments that every operator with a matrix memory has.

use super::decay::Decay;
use crate::checks;
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Bool, DType, Tensor};

/// Arguments after checking, in the accumulator's dtype. Keys, queries and decay may have fewer heads than the values,
/// `HK` and `HD`, which divide `H`.
pub(crate) struct Problem {
    pub query: Tensor<4>,                // [b, t, hk, k]
    pub key: Tensor<4>,                  // [b, t, hk, k]
    pub value: Tensor<4>,                // [b, t, h, v]
    pub decay: Option<Tensor<4>>,        // [1, 1, h, 1], [b, t, hd, 1] or [b, t, hd, k]
    pub resets: Option<Tensor<2, Bool>>, // [b, t]
    pub segments: Option<Segments>,
    pub memory: Tensor<4>, // [b, h, k, v], or [n, h, k, v] of n segments
    pub scale: f64,        // of the query
}

/// The options that all of these operators have.
pub(crate) struct Given {
    /// The initial memory and the name that messages give it.
    pub memory: Option<(Tensor<4>, &'static str)>,
    pub scale: Option<f64>,
    pub resets: Option<Tensor<2, Bool>>,
    pub segments: Option<Segments>,
}

impl Problem {
    #[track_caller]
    pub fn checked(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, decay: Decay, given: Given) -> Self {
        let [batch, time, _, key_dim] = query.dims();
        let [_, _, heads, value_dim] = value.dims();
        let (device, wide) = (value.device(), accumulator(query.dtype()));

        checks::stored_tokens(&query, &key, &value, given.resets.as_ref());
        let sequences = checks::sequences(batch, time, given.segments.as_ref());
        let memory = match given.memory {
            Some((memory, name)) => {
                let wanted = [sequences, ("H", heads), ("K", key_dim), ("V", value_dim)];
                checks::shape(name, &memory.dims(), &wanted);
                to_dtype(memory, wide)
            }
            None => Tensor::zeros([sequences.1, heads, key_dim, value_dim], (&device, wide)),
        };
        Self {
            query: to_dtype(query, wide),
            key: to_dtype(key, wide),
            value: to_dtype(value, wide),
            decay: decay.checked([batch, time, heads, key_dim], wide),
            resets: given.resets,
            segments: given.segments,
            memory,
            scale: given.scale.unwrap_or((key_dim as f64).powf(-0.5)),
        }
    }

    /// Whether there are no sequences, and so nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.value.dims()[0] == 0
    }

    /// The accumulator's dtype.
    pub fn dtype(&self) -> DType {
        self.query.dtype()
    }

    /// The same problem with as many heads of keys, queries and decay as of values.
    pub fn with_repeated_heads(self) -> Self {
        let heads = self.value.dims()[2];
        Self {
            query: repeat_heads(self.query, heads),
            key: repeat_heads(self.key, heads),
            decay: self.decay.map(|log| repeat_heads(log, heads)),
            ..self
        }
    }

    /// The same problem with the segments that have tokens as sequences. What pads them neither writes nor fades.
    pub fn unpacked(self, unpacking: &Unpacking) -> Self {
        let [batch, time, heads, _] = self.value.dims();
        let fading = |log: Tensor<4>| match log.dims() {
            [1, 1, _, _] if unpacking.is_even() => log, // a fixed decay is that of every token
            [1, 1, ..] => unpacking.unpack(log.expand([batch, time, heads, 1])),
            _ => unpacking.unpack(log),
        };
        Self {
            query: unpacking.unpack_repeating(self.query),
            key: unpacking.unpack(self.key),
            value: unpacking.unpack(self.value),
            decay: self.decay.map(fading),
            resets: self.resets.map(|resets| unpacking.unpack_resets(resets)),
            segments: None,
            memory: unpacking.states(self.memory),
            scale: self.scale,
        }
    }

    /// The resets as kernels take them: `[b, t]`, 1 where the memory is cleared before the token and 0 elsewhere.
    pub fn resets_as_numbers(&self) -> Option<Tensor<2>> {
        self.resets.clone().map(|resets| to_dtype(resets.float(), self.dtype()))
    }
}
