//! The checkpoint of one run.

use super::progress::Progress;
use crate::Error;
use burn::optim::ModuleOptimizer;
use seqzoo::CheckpointError;
use seqzoo::models::LanguageModel;
use seqzoo::training::TrainingCheckpoint;
use std::path::{Path, PathBuf};

/// A run at one of its steps.
pub(super) type Training = TrainingCheckpoint<LanguageModel, Progress>;

/// The place of the checkpoint of one run.
pub(super) struct Checkpoint {
    directory: PathBuf,
}

impl Checkpoint {
    pub fn new(run: &Path) -> Self {
        Self { directory: run.join("checkpoint") }
    }

    /// Writes the checkpoint in place of the one before.
    pub fn save(&self, training: &Training) -> Result<(), Error> {
        Ok(training.save(&self.directory)?)
    }

    /// The last checkpoint, if there is one.
    pub fn load(
        &self,
        model: LanguageModel,
        optimizer: impl FnOnce(&LanguageModel) -> ModuleOptimizer,
    ) -> Result<Option<Training>, Error> {
        Training::load(&self.directory, model, optimizer).map_err(|error| match error {
            CheckpointError::Contents { path, problem } => {
                let remedy = format!("remove {} to start this run again", self.directory.display());
                Error::contents(&path, format!("{problem}; {remedy}"))
            }
            other => other.into(),
        })
    }
}
