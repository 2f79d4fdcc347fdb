//! A model in a directory: `model.safetensors`, and `config.json` beside it.
//!
//! The weights are the commit point: their file also holds the configuration and the name of the save, and
//! `config.json` follows it. Where the two are of different saves, as after a save that was interrupted in between
//! or beside a writer, the weights' own configuration counts, so that a reader always finds a whole model.

use super::config::LanguageModelConfig;
use super::language_model::LanguageModel;
use super::weights::Weights;
use crate::{CheckpointError, files};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::Path;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// The format version that this library writes and reads.
const VERSION: u64 = 1;

/// The configuration, as text, in the metadata of the weights.
const EMBEDDED: &str = "seqzoo";

impl LanguageModel {
    /// Writes the configuration and the weights into `directory`, which is made if need be. Whatever ends the
    /// save, [`load`](Self::load) finds the model that was there before or this one, and so does a reader at any
    /// time of it.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, directory: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let directory = directory.as_ref();
        files::create_directory(directory).map_err(|error| CheckpointError::io(directory, error))?;
        let described = Described { config: self.config().clone(), version: VERSION, save: new_name() };
        let text = serde_json::to_string_pretty(&described).expect("a configuration is JSON") + "\n";
        self.save_weights_with(&directory.join(WEIGHTS), Some((EMBEDDED, &text)))?;
        let path = directory.join(CONFIG);
        files::write(&path, text).map_err(|error| CheckpointError::io(&path, error))
    }

    /// Reads a model that [`save`](Self::save) wrote. In `config.json` a field that has a default may be left out.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed or of another format version, the configuration describes no model, or the
    /// weights are not those of the model it describes.
    pub fn load(directory: impl AsRef<Path>, device: &Device) -> Result<Self, CheckpointError> {
        let directory = directory.as_ref();
        let (config_path, weights_path) = (directory.join(CONFIG), directory.join(WEIGHTS));
        // The weights first: a configuration read before them may be older without being their own.
        let weights = match Weights::read(&weights_path) {
            Err(_) if !config_path.exists() => {
                let missing = std::io::Error::from(ErrorKind::NotFound);
                return Err(CheckpointError::io(&config_path, missing));
            }
            read => read?,
        };
        let beside = match files::read(&config_path) {
            Ok(bytes) => Some(Found::parse(&config_path, &bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(CheckpointError::io(&config_path, error)),
        };
        let own = match weights.metadata(EMBEDDED) {
            Some(text) => Some(Found::parse(&weights_path, text.as_bytes())?),
            None => None,
        };
        let (path, found) = match (beside, own) {
            (Some(beside), Some(own)) if beside.is_of_another_save_than(&own) => (&weights_path, own),
            (Some(beside), _) => (&config_path, beside),
            (None, Some(own)) => (&weights_path, own),
            (None, None) => {
                let missing = std::io::Error::from(ErrorKind::NotFound);
                return Err(CheckpointError::io(&config_path, missing));
            }
        };
        let config = found.config(path)?;
        weights.into_model(&config.try_undrawn(device)?)
    }
}

/// The contents of `config.json`.
#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    config: LanguageModelConfig,
    version: u64,
    /// The name of the save.
    save: String,
}

/// A name that no other save has.
fn new_name() -> String {
    let number = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", number(), number())
}

/// A configuration as it stands in a file.
struct Found {
    fields: Map<String, Value>,
    save: Option<String>,
}

/// What is written beside the fields of the configuration.
#[derive(Deserialize)]
struct Heading {
    version: Option<u64>,
    save: Option<String>,
}

impl Found {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let malformed = |error: serde_json::Error| CheckpointError::contents(path, error);
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(malformed)?;
        let heading = ["version", "save"].into_iter().filter_map(|name| fields.shift_remove_entry(name));
        let heading: Heading = serde_json::from_value(heading.collect()).map_err(malformed)?;
        match heading.version {
            None | Some(VERSION) => Ok(Self { fields, save: heading.save }),
            Some(version) => {
                let problem =
                    format!("it is of format version {version}, this library reads version {VERSION}");
                Err(CheckpointError::contents(path, problem))
            }
        }
    }

    fn is_of_another_save_than(&self, other: &Self) -> bool {
        matches!((&self.save, &other.save), (Some(this), Some(other)) if this != other)
    }

    fn config(self, path: &Path) -> Result<LanguageModelConfig, CheckpointError> {
        serde_json::from_value(Value::Object(self.fields))
            .map_err(|error| CheckpointError::contents(path, error))
    }
}
