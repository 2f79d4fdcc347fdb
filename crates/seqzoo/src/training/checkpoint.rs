//! A training at one of its steps.

use super::file::{self, Parts};
use super::random::Random;
use crate::{CheckpointError, files};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// The one file of a checkpoint.
const FILE: &str = "training.safetensors";

/// A training at one of its steps: all that its next steps depend on. Saved in a directory and loaded again, it goes
/// on to the same bits.
///
/// `M` is any module of Burn. `P` is what a program wants to keep besides: the learning curve, the place in the data.
#[derive(Clone)]
pub struct TrainingCheckpoint<M, P = ()> {
    /// The model.
    pub model: M,
    /// The optimizer, with its moments.
    pub optimizer: ModuleOptimizer,
    /// How many steps were taken.
    pub step: u64,
    /// The source of everything random in the next steps.
    pub random: Random,
    /// Whatever else the program keeps.
    pub progress: P,
}

impl<M, P: Default> TrainingCheckpoint<M, P> {
    /// A training before its first step.
    pub fn new(model: M, optimizer: ModuleOptimizer, random: Random) -> Self {
        Self { model, optimizer, step: 0, random, progress: P::default() }
    }
}

impl<M: Module, P: Serialize + DeserializeOwned> TrainingCheckpoint<M, P> {
    /// Writes the checkpoint into `directory`, which is made if need be. It replaces an earlier one, whole or not at
    /// all: the directory holds one file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or `progress` is not JSON.
    pub fn save(&self, directory: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let directory = directory.as_ref();
        let path = directory.join(FILE);
        let refuse = |error: &dyn ToString| CheckpointError::contents(&path, error.to_string());
        let parts = Parts {
            step: self.step,
            random: serde_json::to_string(&self.random).map_err(|error| refuse(&error))?,
            progress: serde_json::to_string(&self.progress).map_err(|error| refuse(&error))?,
            model: self.model.clone().into_record().into_bytes().map_err(|error| refuse(&error))?.to_vec(),
            optimizer: self.optimizer.into_bytes().map_err(|error| refuse(&error))?.to_vec(),
        };
        files::create_directory(directory).map_err(|error| CheckpointError::io(directory, error))?;
        file::write(&path, parts)
    }

    /// Reads the checkpoint in `directory`, or nothing if there is none. `model` is one of the same structure, whose
    /// parameters are replaced; `optimizer` makes a new optimizer for the model as it was saved, with its groups.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not as it was written, or belongs to another model.
    pub fn load(
        directory: impl AsRef<Path>,
        model: M,
        optimizer: impl FnOnce(&M) -> ModuleOptimizer,
    ) -> Result<Option<Self>, CheckpointError> {
        let path = directory.as_ref().join(FILE);
        let Some(parts) = file::read(&path)? else { return Ok(None) };
        let refuse = |error: &dyn ToString| CheckpointError::contents(&path, error.to_string());
        let random = serde_json::from_str(&parts.random).map_err(|error| refuse(&error))?;
        let progress = serde_json::from_str(&parts.progress).map_err(|error| refuse(&error))?;
        let model = ModuleRecord::from_bytes(Bytes::from_bytes_vec(parts.model))
            .and_then(|record| model.try_load_record(record))
            .map_err(|error| refuse(&error))?;
        let optimizer = optimizer(&model)
            .from_bytes(Bytes::from_bytes_vec(parts.optimizer))
            .map_err(|error| refuse(&error))?;
        Ok(Some(Self { model, optimizer, step: parts.step, random, progress }))
    }
}
