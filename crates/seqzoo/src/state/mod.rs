//! What a layer remembers: a plain struct that the caller owns, `f32` or wider.
//!
//! [`MixerState`] gives every state, that of a whole model included, the same operations: fork it
//! (`clone`), [`select`](MixerState::select) sequences of the batch and [`put`](MixerState::put) them back, [`detach`](MixerState::detach)
//! it from the tape, count its [`bytes`](MixerState::bytes), [`save`](MixerState::save) and
//! [`load`](MixerState::load) it without loss.

mod bytes;
mod declare;
mod file;
mod mappers;
mod misfit;
mod position;
mod put;

pub use bytes::StateBytes;
pub use declare::{StateField, StateTensor};
pub use mappers::{Scoped, StateMapper, StatePart};
pub(crate) use position::{MAX_NUMBER, advanced};
pub(crate) use put::shared_by_all;

use crate::StateError;
use burn::tensor::{Bool, Device, Int, Tensor};
use mappers::{Batch, Detach, LeaveAutodiff, MoveTo, Select};
use std::fmt::Debug;
use std::path::Path;

/// A state that can be walked tensor by tensor; everything else follows from that. [`state!`](crate::state!)
/// declares one by its fields.
pub trait MixerState: Clone + Debug + Send + Sized + 'static {
    /// The name of the layer or model this is the state of, written into files.
    fn layer(&self) -> String;

    /// Rebuilds the state with every tensor replaced by what `mapper` makes of it.
    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self;

    /// How much memory the state takes, by kind; of a cache its entries, without the room that it keeps for later ones.
    fn bytes(&self) -> StateBytes {
        bytes::count(self)
    }

    /// The state of the sequences `indices` of the batch, in that order; an index may repeat.
    fn select(self, indices: Tensor<1, Int>) -> Self {
        self.map_state(&mut Select(indices))
    }

    /// The same state with the sequences `indices` replaced by those of `others`, in that order: the counterpart of
    /// [`select`](Self::select). A server keeps the states of its streams in one, and takes those out that have tokens.
    ///
    /// # Panics
    ///
    /// If `others` is not of as many sequences as there are indices, an index is none of a sequence, or the two states
    /// cannot be one: they are of other layers, or at other positions where all sequences share one, or have caches of
    /// other lengths.
    #[track_caller]
    fn put(self, indices: &[usize], others: Self) -> Self {
        put::put(self, indices, others)
    }

    /// The same numbers, cut from the tape: gradients do not flow into earlier tokens.
    fn detach(self) -> Self {
        self.map_state(&mut Detach)
    }

    /// The same numbers without autodiff: for inference after training, with the layer's `valid()`.
    fn without_autodiff(self) -> Self {
        self.map_state(&mut LeaveAutodiff)
    }

    /// How many sequences the state is of.
    fn batch(&self) -> usize {
        let mut batch = Batch::default();
        self.clone().map_state(&mut batch);
        batch.0.unwrap_or(0)
    }

    /// What keeps this state from standing where `expected` does, as the end of a sentence that begins with "the state";
    /// `None` where nothing does.
    ///
    /// They must be of the same layer, with tensors of the same names, shapes and dtypes; the batch is free, and so is
    /// the length of a cache. Within the state all tensors must be of as many sequences, and numbers at most 2^53. What
    /// tensors hold is not read.
    fn misfit(&self, expected: &Self) -> Option<String> {
        misfit::misfit(self, expected)
    }

    /// The state on another device, with autodiff where it had it.
    fn to_device(self, device: &Device) -> Self {
        self.map_state(&mut MoveTo(device.clone()))
    }

    /// Writes the state to `path` (safetensors). The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<(), StateError> {
        file::save(self, None, path.as_ref())
    }

    /// [`save`](Self::save) with a note in the same file, so that both are of one save: what else its owner needs to go on.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    fn save_with_note(&self, path: impl AsRef<Path>, note: &str) -> Result<(), StateError> {
        file::save(self, Some(note), path.as_ref())
    }

    /// Reads a state from `path` instead of `self`, which says what is expected:
    /// [`SequenceMixer::load_state`](crate::SequenceMixer::load_state) calls it with the layer's
    /// own initial state. The batch is the file's.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a whole state file, was written by another format
    /// version, or belongs to another layer or other dimensions.
    fn load(self, path: impl AsRef<Path>, device: &Device) -> Result<Self, StateError> {
        self.load_with_note(path, device).map(|(state, _)| state)
    }

    /// [`load`](Self::load), and the note that [`save_with_note`](Self::save_with_note) wrote beside the state.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    fn load_with_note(
        self,
        path: impl AsRef<Path>,
        device: &Device,
    ) -> Result<(Self, Option<String>), StateError> {
        let (expected, path) = (self.clone(), path.as_ref());
        let (state, note) = file::load(self, path, device)?;
        match state.misfit(&expected) {
            Some(problem) => Err(StateError::mismatch(path, format!("the state {problem}"))),
            None => Ok((state, note)),
        }
    }
}

/// What keeps `state` from an input of `batch` sequences, as the end of a sentence. It is quick: it looks at the batch of
/// every tensor and at nothing else.
pub(crate) fn other_batch<S: MixerState>(state: &S, batch: usize) -> Option<String> {
    misfit::other_batch(state, batch)
}

/// A mask that travels with a cache.
pub(crate) type Mask = Tensor<2, Bool>;
