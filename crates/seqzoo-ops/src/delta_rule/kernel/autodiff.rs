//! The operator on Burn's tape.

use super::DeltaRuleBackend;
use crate::kernel::Settings;
use crate::kernel::several_outputs::{Vjp, record};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::{Autodiff, TensorMetadata, tensor::FloatTensor};

/// The backward: query, key, value, beta, decay and memory in, output and memory out.
#[derive(Debug)]
struct Gradient;

/// What the forward pass keeps.
#[derive(Clone, Debug)]
struct Saved<F> {
    query: F,
    key: F,
    beta: F,
    decay: F,
    resets: F,
    states: F,
    differences: F,
    products: F,
    overlaps: F,
    memory: F,
    settings: Settings,
}

impl<B: DeltaRuleBackend> Vjp<B, 6, 2> for Gradient {
    type Saved = Saved<FloatTensor<B>>;

    fn vjp(saved: Self::Saved, outputs: [Option<FloatTensor<B>>; 2]) -> [FloatTensor<B>; 6] {
        let zeros = |like: &FloatTensor<B>| B::float_zeros(like.shape(), &like.device(), like.dtype().into());
        let [output, last] = outputs;
        let output = output.unwrap_or_else(|| zeros(&saved.differences)); // both have the shape of the values
        let last = last.unwrap_or_else(|| zeros(&saved.memory));
        let (query, key, value, beta, decay, memory) = B::delta_rule_vjp(
            saved.query,
            saved.key,
            saved.beta,
            saved.decay,
            saved.resets,
            saved.states,
            saved.differences,
            saved.products,
            saved.overlaps,
            output,
            last,
            saved.settings,
        );
        [query, key, value, beta, decay, memory]
    }
}

impl<B: DeltaRuleBackend, C: CheckpointStrategy> DeltaRuleBackend for Autodiff<B, C> {
    fn delta_rule(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        memory: FloatTensor<Self>,
        resets: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (query, of_query) = query.into_parts();
        let (key, of_key) = key.into_parts();
        let (value, of_value) = value.into_parts();
        let (beta, of_beta) = beta.into_parts();
        let (decay, of_decay) = decay.into_parts();
        let (memory, of_memory) = memory.into_parts();
        let (resets, _) = resets.into_parts();
        let inputs = [of_query, of_key, of_value, of_beta, of_decay, of_memory];
        let [output, last] = record::<B, C, Gradient, 6, 2>(inputs, |keep| {
            let (output, last, states, differences, products, overlaps) = B::delta_rule_forward(
                query.clone(),
                key.clone(),
                value,
                beta.clone(),
                decay.clone(),
                memory.clone(),
                resets.clone(),
                settings,
                keep,
            );
            let saved = Saved {
                query,
                key,
                beta,
                decay,
                resets,
                states,
                differences,
                products,
                overlaps,
                memory,
                settings,
            };
            ([output, last], saved)
        });
        (output, last)
    }

    fn delta_rule_forward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Settings,
        _: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        unreachable!("autodiff records `delta_rule`; only the backend below keeps anything")
    }

    fn delta_rule_vjp(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
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
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        unreachable!("Burn's autodiff is first order, so a backward pass is never recorded")
    }
}
