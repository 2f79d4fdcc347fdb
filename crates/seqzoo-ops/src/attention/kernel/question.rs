//! A call of the kernel.

use super::{AttentionBackend, Inputs, Outputs, Settings};
use crate::kernel::tensors::Maybe;
use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// What is asked: keys and values of the tokens themselves, of a cache, or of both.
pub(in super::super) struct Question {
    pub query: Tensor<4>,
    pub own: Option<[Tensor<4>; 2]>,
    pub cache: Option<[Tensor<4>; 2]>,
    /// Of the tokens `[b, t, h, 1]`, and of the cache.
    pub log_decays: Option<[Option<Tensor<4>>; 2]>,
    pub settings: Settings,
}

impl Question {
    /// The output `[b, t, h, v]` and the logarithms of the sums of exponentials, `[b, t, h]`.
    pub fn answer(self) -> (Tensor<4>, Tensor<3>) {
        let Self { query, own, cache, log_decays, settings } = self;
        let maybe = |tensor: Option<Tensor<4>>| Maybe::new(tensor.map(Tensor::into_dispatch));
        let pair = |pair: Option<[Tensor<4>; 2]>| pair.map_or([None, None], |pair| pair.map(Some)).map(maybe);
        let ([key, value], [cached_keys, cached_values]) = (pair(own), pair(cache));
        let [log_decay, cached_log_decays] = log_decays.unwrap_or([None, None]).map(maybe);
        let inputs = Inputs {
            query: query.into_dispatch(),
            key,
            value,
            log_decay,
            cached_keys,
            cached_values,
            cached_log_decays,
        };
        let Outputs { output, log_sum } = Dispatch::attention_kernel(inputs, settings);
        (Tensor::from_dispatch(output), Tensor::from_dispatch(log_sum))
    }
}
