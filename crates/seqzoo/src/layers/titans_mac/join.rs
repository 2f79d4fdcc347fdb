//! The states of several groups of sequences as one.

use super::TitansMacState;
use crate::layers::{NeuralMemoryState, SoftmaxAttentionState};
use crate::ops::attention::AttentionState;
use crate::ops::neural_memory::NeuralMemoryState as Memory;
use crate::parts::ConvStates;
use burn::tensor::{Bool, Tensor};

/// The states of groups, one after the other. Shorter caches get hidden entries in front.
pub(super) fn join(states: Vec<TitansMacState>) -> TitansMacState {
    let position = states[0].attention.position;
    let caches: Vec<_> = states.iter().map(|state| state.attention.cache.clone()).collect();
    let memories: Vec<_> = states.iter().map(|state| state.memory.memory.clone()).collect();
    let convolutions = layers(states.into_iter().map(|state| state.memory.convolutions.0));
    TitansMacState {
        attention: SoftmaxAttentionState { cache: joined_caches(caches), position },
        memory: NeuralMemoryState {
            memory: Memory {
                weights: layers(memories.iter().map(|memory| memory.weights.clone())),
                momentum: layers(memories.iter().map(|memory| memory.momentum.clone())),
                start: layers(memories.iter().map(|memory| memory.start.clone())),
                chunk: memories[0].chunk,
                position: Tensor::cat(memories.into_iter().map(|memory| memory.position).collect(), 0),
                surprise: None,
            },
            convolutions: ConvStates(convolutions),
        },
    }
}

/// The tensors of every group, joined layer by layer.
fn layers<const D: usize>(groups: impl Iterator<Item = Vec<Tensor<D>>>) -> Vec<Tensor<D>> {
    let groups: Vec<_> = groups.collect();
    let count = groups[0].len();
    (0..count)
        .map(|layer| Tensor::cat(groups.iter().map(|group| group[layer].clone()).collect(), 0))
        .collect()
}

fn joined_caches(caches: Vec<AttentionState>) -> AttentionState {
    let longest = caches.iter().map(|cache| cache.keys.dims()[1]).max().expect("there are groups");
    let padded = |entries: Tensor<4>| {
        let [batch, length, heads, channels] = entries.dims();
        let missing = [batch, longest - length, heads, channels];
        match longest == length {
            true => entries,
            false => {
                Tensor::cat(vec![Tensor::zeros(missing, (&entries.device(), entries.dtype())), entries], 1)
            }
        }
    };
    let visible = |cache: &AttentionState| -> Tensor<2, Bool> {
        let ([batch, length, ..], device) = (cache.keys.dims(), cache.keys.tensor().device());
        let flags = (0..batch * longest).map(|entry| entry % longest >= longest - length);
        let flags = burn::tensor::TensorData::new(flags.collect::<Vec<bool>>(), [batch, longest]);
        Tensor::from_data(flags, &device)
    };
    let same = caches.iter().all(|cache| cache.keys.dims()[1] == longest);
    AttentionState {
        visible: (!same).then(|| Tensor::cat(caches.iter().map(visible).collect(), 0)),
        keys: Tensor::cat(caches.iter().map(|cache| padded(cache.keys.tensor())).collect(), 0).into(),
        values: Tensor::cat(caches.iter().map(|cache| padded(cache.values.tensor())).collect(), 0).into(),
        log_decays: None,
    }
}
