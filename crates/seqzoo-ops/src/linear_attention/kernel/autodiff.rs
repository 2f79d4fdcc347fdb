//! The operator on Burn's tape.

use super::LinearAttentionBackend;
use crate::kernel::Settings;
use crate::kernel::several_outputs::{Vjp, record};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, TensorMetadata, tensor::FloatTensor};

/// The backward: query, key, value, decay and memory in, output and memory out.
#[derive(Debug)]
struct Gradient;

/// What the forward pass keeps.
#[derive(Clone, Debug)]
struct Saved<F> {
    query: F,
    key: F,
    value: F,
    decay: F,
    resets: F,
    states: F,
    products: F,
    memory: F,
    settings: Settings,
}

impl<B: LinearAttentionBackend> Vjp<B, 5, 2> for Gradient {
    type Saved = Saved<FloatTensor<B>>;

    fn vjp(saved: Self::Saved, outputs: [Option<FloatTensor<B>>; 2]) -> [FloatTensor<B>; 5] {
        let Saved { query, key, value, decay, resets, states, products, memory, settings } = saved;
        let zeros = |like: &FloatTensor<B>| B::float_zeros(like.shape(), &like.device(), like.dtype().into());
        let [output, last] = outputs;
        let output = output.unwrap_or_else(|| zeros(&value)); // the output has the shape of the values
        let last = last.unwrap_or_else(|| zeros(&memory));
        let (query, key, value, decay, memory) = B::linear_attention_vjp(
            query, key, value, decay, resets, states, products, output, last, settings,
        );
        [query, key, value, decay, memory]
    }
}

impl<B: LinearAttentionBackend, C: CheckpointStrategy> LinearAttentionBackend for Autodiff<B, C> {
    fn linear_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (query, of_query) = query.into_parts();
        let (key, of_key) = key.into_parts();
        let (value, of_value) = value.into_parts();
        let (decay, of_decay) = decay.into_parts();
        let (memory, of_memory) = memory.into_parts();
        let (resets, _) = resets.into_parts();
        let inputs = [of_query, of_key, of_value, of_decay, of_memory];
        let [output, last] = record::<B, C, Gradient, 5, 2>(inputs, |keep| {
            let (output, last, states, products) = B::linear_attention_forward(
                query.clone(),
                key.clone(),
                value.clone(),
                decay.clone(),
                memory.clone(),
                resets.clone(),
                settings,
                keep,
            );
            let saved = Saved { query, key, value, decay, resets, states, products, memory, settings };
            ([output, last], saved)
        });
        (output, last)
    }

    fn linear_attention_forward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Settings,
        _: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("autodiff records `linear_attention`; only the backend below keeps anything")
    }

    fn linear_attention_vjp(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("Burn's autodiff is first order, so a backward pass is never recorded")
    }
}
