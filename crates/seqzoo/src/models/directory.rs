//! A model in a directory: `model.safetensors`, and `config.json` beside it.
//!
//! The weights are the commit point: their file also holds the configuration, the name of the save and that of the save
//! before it. `config.json` follows. Where it is still of the save before, because the last one was interrupted in
//! between, the weights' own configuration counts. Where it is of any other save, the files were mixed by hand, or
//! another process has saved since the weights were read.

use super::config::LanguageModelConfig;
use super::language_model::LanguageModel;
use super::weights::Weights;
use crate::config::Unrepeated;
use crate::digest::digest;
use crate::{CheckpointError, files};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
        let _alone = files::lock_directory(directory);
        let config_path = directory.join(CONFIG);
        let before = files::read(&config_path).ok().and_then(|bytes| Found::parse(&config_path, &bytes).ok());
        let (config, save) = (self.config(), new_name());
        let follows = before.map(|found| found.name);
        let own = Described { config, version: VERSION, save: &save, follows };
        self.save_weights_with(&directory.join(WEIGHTS), Some((EMBEDDED, &own.text())))?;
        let text = Described { follows: None, ..own }.text();
        files::write(&config_path, text).map_err(|error| CheckpointError::io(&config_path, error))
    }

    /// Reads a model that [`save`](Self::save) wrote. In `config.json` a field that has a default may be left out.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed or of another format version, the configuration describes no model, or the
    /// weights are not those of the model it describes.
    pub fn load(directory: impl AsRef<Path>, device: &Device) -> Result<Self, CheckpointError> {
        let directory = directory.as_ref();
        let mut mixture = None;
        loop {
            let (weights, description) = read(directory)?;
            match description {
                Description::Of(config) => return weights.into_model(&config.try_undrawn(device)?),
                Description::Mixed(saves) if mixture.as_ref() == Some(&saves) => {
                    let problem = "it is of another save than model.safetensors; put the two of one save together, \
                                   or remove it, and the configuration in the weights counts";
                    return Err(CheckpointError::contents(&directory.join(CONFIG), problem));
                }
                // Another process has saved in between, unless nothing has changed at the next look.
                Description::Mixed(saves) => mixture = Some(saves),
            }
        }
    }
}

/// The configuration that counts.
enum Description {
    Of(LanguageModelConfig),
    /// There is none: the configuration and the weights are of these two saves.
    Mixed([String; 2]),
}

/// Reads both files: the weights first, so that the configuration is never older than theirs without saying so.
fn read(directory: &Path) -> Result<(Weights, Description), CheckpointError> {
    let (config_path, weights_path) = (directory.join(CONFIG), directory.join(WEIGHTS));
    let no_config = || CheckpointError::io(&config_path, ErrorKind::NotFound.into());
    let weights = match Weights::read(&weights_path) {
        Err(_) if !config_path.exists() => return Err(no_config()),
        read => read?,
    };
    let beside = match files::read(&config_path) {
        Ok(bytes) => Some(Found::parse(&config_path, &bytes)?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(CheckpointError::io(&config_path, error)),
    };
    let own =
        weights.metadata(EMBEDDED).map(|text| Found::parse(&weights_path, text.as_bytes())).transpose()?;
    let description = match (beside, own) {
        (None, None) => return Err(no_config()),
        (None, Some(own)) => Description::Of(own.config),
        (Some(beside), None) => Description::Of(beside.config),
        (Some(beside), Some(own)) if own.follows.as_ref() == Some(&beside.name) => {
            Description::Of(own.config)
        }
        // One without the name of a save is written by hand.
        (Some(beside), Some(own)) if beside.name == own.name || !beside.named => {
            Description::Of(beside.config)
        }
        (Some(beside), Some(own)) => Description::Mixed([beside.name, own.name]),
    };
    Ok((weights, description))
}

/// The contents of `config.json`, and what the weights say of themselves.
#[derive(Serialize)]
struct Described<'a> {
    #[serde(flatten)]
    config: &'a LanguageModelConfig,
    version: u64,
    /// The name of the save.
    save: &'a str,
    /// The name of the `config.json` that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<String>,
}

impl Described<'_> {
    fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a configuration is JSON") + "\n"
    }
}

/// A name that no other save has.
fn new_name() -> String {
    let number = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", number(), number())
}

/// A configuration as it stands in a file.
struct Found {
    config: LanguageModelConfig,
    /// The name of its save; a digest of the file where none is written.
    name: String,
    named: bool,
    follows: Option<String>,
}

/// What is written beside the fields of the configuration.
#[derive(Deserialize)]
struct Heading {
    version: Option<u64>,
    save: Option<String>,
    follows: Option<String>,
}

impl Found {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let refuse = |problem: &dyn ToString| CheckpointError::contents(path, problem.to_string());
        let Unrepeated(value) = serde_json::from_slice(bytes).map_err(|error| refuse(&error))?;
        let Value::Object(mut fields) = value else { return Err(refuse(&"it is not a JSON object")) };
        if let Some(published) = fields.get("model_type").filter(|_| !fields.contains_key("pattern")) {
            return Err(refuse(&format!(
                "it is of the published architecture {published}; `checkpoint::read` reads those"
            )));
        }
        let names = ["version", "save", "follows"].into_iter();
        let heading = names.filter_map(|name| fields.shift_remove_entry(name)).collect();
        let Heading { version, save, follows } =
            serde_json::from_value(heading).map_err(|error| refuse(&error))?;
        if let Some(version) = version.filter(|version| *version != VERSION) {
            let problem = format!("it is of format version {version}, this library reads version {VERSION}");
            return Err(refuse(&problem));
        }
        let config = LanguageModelConfig::from_fields(fields).map_err(|error| refuse(&error))?;
        let named = save.is_some();
        let name = save.unwrap_or_else(|| digest([bytes]));
        Ok(Self { config, name, named, follows })
    }
}
