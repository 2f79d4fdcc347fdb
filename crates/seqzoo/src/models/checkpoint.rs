//! A model in a directory: `config.json` and `model.safetensors`.

use super::config::LanguageModelConfig;
use super::language_model::LanguageModel;
use crate::{CheckpointError, SequenceMixer};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use std::path::Path;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

impl LanguageModel {
    /// Writes the configuration and the weights into `directory`, which is made if need be.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, directory: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let directory = directory.as_ref();
        std::fs::create_dir_all(directory).map_err(|error| CheckpointError::io(directory, error))?;
        let path = directory.join(CONFIG);
        let text = serde_json::to_string_pretty(self.config()).expect("a configuration is JSON");
        std::fs::write(&path, text + "\n").map_err(|error| CheckpointError::io(&path, error))?;
        self.save_weights(directory.join(WEIGHTS))
    }

    /// Reads a model that [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed, the configuration describes no model, or the weights are
    /// not those of the model it describes.
    pub fn load(directory: impl AsRef<Path>, device: &Device) -> Result<Self, CheckpointError> {
        let directory = directory.as_ref();
        let path = directory.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(|error| CheckpointError::io(&path, error))?;
        let config: LanguageModelConfig =
            serde_json::from_str(&text).map_err(|error| CheckpointError::contents(&path, error))?;
        let mut model = config.try_init(device)?;
        model.load_weights(directory.join(WEIGHTS))?;
        Ok(model)
    }
}

impl<M: SequenceMixer> LanguageModel<M> {
    /// Writes all weights into a safetensors file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = path.as_ref();
        let mut store = SafetensorsStore::from_file(path).overwrite(true);
        self.save_into(&mut store).map_err(|error| CheckpointError::contents(path, error))
    }

    /// Replaces all weights by those in a safetensors file.
    ///
    /// # Errors
    ///
    /// If the file is missing or malformed, or does not hold exactly this model's weights in this model's
    /// precision. The model is then what it was.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = path.as_ref();
        std::fs::metadata(path).map_err(|error| CheckpointError::io(path, error))?;
        let mut store = SafetensorsStore::from_file(path);
        let mut loaded = self.clone();
        let found = loaded.load_from(&mut store).map_err(|error| CheckpointError::contents(path, error))?;
        let (wanted, dtype) = (self.embedding.weight.val().dtype(), loaded.embedding.weight.val().dtype());
        if dtype != wanted {
            let problem = format!("its weights are {dtype:?}, but {wanted:?} is wanted");
            return Err(CheckpointError::contents(path, problem));
        }
        match found.unused.as_slice() {
            [] => {
                *self = loaded;
                Ok(())
            }
            [first, ..] => {
                let problem =
                    format!("it holds {} tensors that the model lacks, `{first}` first", found.unused.len());
                Err(CheckpointError::contents(path, problem))
            }
        }
    }
}
