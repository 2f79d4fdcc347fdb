//! Language models that read some of the blocks before a token.

use super::block::{Block, added};
use super::language_model::LanguageModel;
use crate::layers::{BlockCounts, LandmarkStore, RetrievalConfig};
use crate::ops::checks;
use crate::state::advanced;
use crate::{AnyState, ConfigError, Mixer, SequenceMixer, StateError};
use burn::tensor::{Device, Int, Tensor};
use std::path::Path;

/// What a stream through [`LanguageModel::retrieve`] has read: a [`LandmarkStore`] for each layer of landmark attention, and the
/// states of all others.
pub struct ModelRetrieval {
    layers: Vec<LayerMemory>,
    position: u64,
    batch: usize,
}

#[allow(clippy::large_enum_variant, reason = "there is one per layer")]
enum LayerMemory {
    Store(LandmarkStore),
    State(AnyState),
}

impl ModelRetrieval {
    /// How many tokens have passed, without landmarks.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The stores, one per layer of landmark attention.
    pub fn stores(&self) -> impl Iterator<Item = &LandmarkStore> {
        self.layers.iter().filter_map(|memory| match memory {
            LayerMemory::Store(store) => Some(store),
            LayerMemory::State(_) => None,
        })
    }

    /// How many blocks all layers have read.
    pub fn counts(&self) -> BlockCounts {
        self.stores().map(LandmarkStore::counts).fold(BlockCounts::default(), |sum, counts| BlockCounts {
            read: sum.read + counts.read,
            loaded: sum.loaded + counts.loaded,
        })
    }
}

impl LanguageModel {
    /// The memory before the first token, for [`retrieve`](Self::retrieve): blocks go into the memory of the host.
    ///
    /// # Errors
    ///
    /// As [`LandmarkStore::in_memory`].
    pub fn init_retrieval(
        &self,
        config: &RetrievalConfig,
        batch: usize,
        device: &Device,
    ) -> Result<ModelRetrieval, ConfigError> {
        self.memories(batch, device, |layer, _| LandmarkStore::in_memory(layer, config, batch, device))
    }

    /// The same with blocks in files of `directory`, which is made if it is not there: `0.blocks` for the first layer, in place
    /// of whatever was there.
    ///
    /// # Errors
    ///
    /// As [`LandmarkStore::create`].
    pub fn init_retrieval_in(
        &self,
        directory: impl AsRef<Path>,
        config: &RetrievalConfig,
        batch: usize,
        device: &Device,
    ) -> Result<ModelRetrieval, StateError> {
        let directory = directory.as_ref();
        std::fs::create_dir_all(directory).map_err(|error| StateError::io(directory, error))?;
        self.memories(batch, device, |layer, index| {
            LandmarkStore::create(directory.join(format!("{index}.blocks")), layer, config, batch, device)
        })
    }

    fn memories<E>(
        &self,
        batch: usize,
        device: &Device,
        store: impl Fn(&crate::layers::LandmarkAttention, usize) -> Result<LandmarkStore, E>,
    ) -> Result<ModelRetrieval, E> {
        let layers = self.blocks.iter().enumerate().map(|(index, block)| match &block.mixer {
            Mixer::LandmarkAttention(layer) => store(layer, index).map(LayerMemory::Store),
            other => Ok(LayerMemory::State(other.init_state(batch, device))),
        });
        Ok(ModelRetrieval { layers: layers.collect::<Result<_, _>>()?, position: 0, batch })
    }

    /// Tokens `[B, T]`, any number of them, to the channels before the head, `[B, T, D]`, as [`hidden`](Self::hidden), with
    /// layers of landmark attention that read only the blocks that their tokens choose: see
    /// [`LandmarkAttention::retrieve`](crate::layers::LandmarkAttention::retrieve). Take the model's `valid()`: gradients do
    /// not flow through it.
    ///
    /// # Errors
    ///
    /// If a file of blocks cannot be written. The memory is then not to be used any more.
    ///
    /// # Panics
    ///
    /// If there are no tokens, or the memory is of another model or batch.
    #[track_caller]
    pub fn retrieve(
        &self,
        tokens: Tensor<2, Int>,
        memory: &mut ModelRetrieval,
    ) -> Result<Tensor<3>, StateError> {
        let [batch, time] = tokens.dims();
        checks::not_empty("tokens", "time", time);
        checks::shape("tokens", &[batch, time], &[("B", memory.batch), ("T", time)]);
        self.check_layers(memory.layers.len());
        let position = advanced(memory.position, time);
        let (landmarks, mut hidden) = self.embedded(tokens, memory.position);
        for (block, memory) in self.blocks.iter().zip(&mut memory.layers) {
            hidden = through(block, hidden, memory)?;
        }
        memory.position = position;
        Ok(match landmarks {
            Some(landmarks) => landmarks.remove(hidden),
            None => hidden,
        })
    }
}

#[track_caller]
fn through(block: &Block, hidden: Tensor<3>, memory: &mut LayerMemory) -> Result<Tensor<3>, StateError> {
    match (&block.mixer, memory) {
        (Mixer::LandmarkAttention(layer), LayerMemory::Store(store)) => {
            let mixed = layer.retrieve(block.mixer_norm.forward(hidden.clone()), store)?;
            Ok(block.after_mixing(added(hidden, mixed)).0)
        }
        (_, LayerMemory::State(state)) => {
            let (output, next) = block.forward(hidden, None, Some(state.clone()));
            *state = next;
            Ok(output)
        }
        (_, LayerMemory::Store(_)) => {
            panic!(
                "The argument `memory` is of another model: it has a store where a layer has no landmarks."
            )
        }
    }
}
