//! Published models: directories of transformers and flash-linear-attention, read and written.
//!
//! Such a directory holds `config.json` and the weights, in `model.safetensors` or in several files with
//! `model.safetensors.index.json`. [`read`] makes a [`LanguageModel`] of it, [`write()`] a directory that these libraries
//! read. [`LanguageModel::save`] and [`LanguageModel::load`] keep a model in a format of this library's own, which holds
//! any model; a published format holds the models of its [`Architecture`].
//!
//! Each architecture has one table of names, for both directions. What its fields say of the mathematics is
//! honoured, or refused with a sentence that names the field; fields that say nothing of it are ignored.

mod architecture;
mod architectures;
mod faithful;
mod fields;
mod json;
mod layout;
mod names;
mod reader;
mod source;
mod writer;

pub use architecture::Architecture;

use crate::digest::digest;
use crate::models::{LanguageModel, LanguageModelConfig};
use crate::{CheckpointError, files};
use burn::tensor::Device;
use fields::{Fields, Written};
use serde_json::Value;
use source::{CONFIG, Source, WEIGHTS};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use writer::Published;

/// The text of the configuration in the metadata of the weights.
const EMBEDDED: &str = "seqzoo_config";
/// The digest of the `config.json` that was there before, in the metadata of the weights.
const FOLLOWS: &str = "seqzoo_follows";

/// What a published directory says of its model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// The architecture, which [`write()`] takes to write it back.
    pub architecture: Architecture,
    /// The model.
    pub config: LanguageModelConfig,
    /// The tokens that end a text: `eos_token_id`. None where that is no token or list of tokens.
    pub end_tokens: Vec<usize>,
}

/// The precision that weights have in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// `f32`, whatever they are stored in.
    #[default]
    Single,
    /// `bf16`, whatever they are stored in: half the bytes. States and sums stay in `f32`.
    Bf16,
    /// `f16`, whatever they are stored in: half the bytes, more digits than `bf16` and no number above 65,504.
    F16,
    /// That in which each is stored: `f32`, `f16`, `bf16` or `f64`. A model computes only where all of them have the same,
    /// and the device has it.
    Stored,
}

/// Reads a published model, its weights in `f32`. They are taken from the files one by one, and never held twice.
///
/// # Errors
///
/// If a file is missing, malformed or cut short, the architecture is not one that is [read](Architecture::ALL), a field says
/// what this library cannot compute, or the tensors are not exactly those of the model, in name, shape and type. Nothing
/// large is allocated before all of that is known.
pub fn read(directory: impl AsRef<Path>, device: &Device) -> Result<LanguageModel, CheckpointError> {
    read_as(directory, Precision::Single, device)
}

/// [`read`] with the weights in a precision of your choice.
///
/// # Errors
///
/// As [`read`].
pub fn read_as(
    directory: impl AsRef<Path>,
    precision: Precision,
    device: &Device,
) -> Result<LanguageModel, CheckpointError> {
    let directory = directory.as_ref();
    // The weights first: they say if they have been replaced after `config.json`.
    let source = Source::open(directory)?;
    let Description { architecture, config, .. } = described(directory, Some(&source))?;
    let names = (architecture.format().names)(&config);
    let tensors = source.tensors()?;
    all_layers_are_there(directory, &config, &tensors)?;
    reader::read(config.try_undrawn(device)?, &names, &tensors, precision)
}

/// Reads the configuration of a published model alone.
///
/// # Errors
///
/// As [`read`], as far as it concerns `config.json`.
pub fn read_config(directory: impl AsRef<Path>) -> Result<Description, CheckpointError> {
    let directory = directory.as_ref();
    let source = directory.join(WEIGHTS).exists().then(|| Source::open(directory)).transpose()?;
    described(directory, source.as_ref())
}

/// What `config.json` says, or the weights where it is still that of the save before theirs.
fn described(directory: &Path, source: Option<&Source>) -> Result<Description, CheckpointError> {
    let path = directory.join(CONFIG);
    let entry = |key| source.map_or(Ok(None), |source: &Source| source.metadata(key));
    let (embedded, follows) = (entry(EMBEDDED)?, entry(FOLLOWS)?);
    let bytes = match files::read(&path) {
        Ok(bytes) if follows == Some(digest([bytes.as_slice()])) => {
            embedded.map_or(bytes, String::into_bytes)
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && embedded.is_some() => {
            embedded.unwrap_or_default().into_bytes()
        }
        Err(error) => return Err(CheckpointError::io(&path, error)),
    };
    let refuse = |problem: String| CheckpointError::contents(&path, problem);
    let fields = Fields::parse(&bytes).map_err(refuse)?;
    let architecture = Architecture::of(&fields).map_err(refuse)?;
    let config = (architecture.format().read)(&fields).map_err(refuse)?;
    let end_tokens = fields.whole_or_wholes("eos_token_id").unwrap_or_default();
    Ok(Description { architecture, config, end_tokens })
}

/// Says if there are fewer tensors than layers, which would be made before their tensors are missed.
fn all_layers_are_there(
    directory: &Path,
    config: &LanguageModelConfig,
    tensors: &source::Tensors<'_>,
) -> Result<(), CheckpointError> {
    let (layers, found) = (config.num_layers.unwrap_or(config.pattern.len()), tensors.names().count());
    match layers <= found {
        true => Ok(()),
        false => {
            let problem = format!("`num_hidden_layers` is {layers}, but the weights are {found} tensors");
            Err(CheckpointError::contents(&directory.join(CONFIG), problem))
        }
    }
}

/// Writes `model` into `directory`, which is made if need be, as a model of `architecture` that its library reads. Whatever
/// ends the save, [`read`] finds the model that was there before or this one, and so does a reader at any time of it. What
/// else is in the directory stays, such as a tokenizer.
///
/// [`read`] gives the same model again, weights to the bit. How parameters would be drawn before training is kept as far as
/// the architecture has fields for it.
///
/// # Errors
///
/// If the architecture cannot say what the model is, with the option that it lacks, or a file cannot be written.
pub fn write(
    model: &LanguageModel,
    directory: impl AsRef<Path>,
    architecture: Architecture,
) -> Result<(), CheckpointError> {
    let directory = directory.as_ref();
    let refuse = |problem: String| {
        let problem = format!("the model cannot be written as {architecture}: {problem}");
        CheckpointError::contents(directory, problem)
    };
    let fields = faithful_fields(model.config(), architecture).map_err(refuse)?;
    let names = (architecture.format().names)(model.config());
    let published = Published::of(model, &names, directory)?;
    let text = text(fields, architecture, published.dtype());

    files::create_directory(directory).map_err(|error| CheckpointError::io(directory, error))?;
    let _alone = files::lock_directory(directory);
    let (config, weights) = (directory.join(CONFIG), directory.join(WEIGHTS));
    let mut metadata = HashMap::from([("format".into(), "pt".into()), (EMBEDDED.into(), text.clone())]);
    if let Ok(before) = files::read(&config) {
        metadata.insert(FOLLOWS.into(), digest([before.as_slice()]));
    }
    // The weights are the commit point: they hold the configuration as well, and it counts until it is in place.
    files::write_with(&weights, |stage| published.write(metadata, stage))
        .map_err(|error| CheckpointError::io(&weights, error))?;
    files::write(&config, text).map_err(|error| CheckpointError::io(&config, error))
}

/// The fields of a model of this configuration, if they say all that it computes.
fn faithful_fields(config: &LanguageModelConfig, architecture: Architecture) -> Result<Written, String> {
    let format = architecture.format();
    let explicit = faithful::explicit(config);
    let mut fields = (format.write)(&explicit, &explicit.pattern)?;
    fields.insert("model_type".into(), format.model_type.into());
    let text = Value::Object(fields.clone()).to_string();
    let again = (format.read)(&Fields::parse(text.as_bytes())?)?;
    faithful::check(&explicit, &faithful::explicit(&again))?;
    Ok(fields)
}

/// The text of `config.json`.
fn text(mut fields: Written, architecture: Architecture, dtype: &str) -> String {
    fields.insert("architectures".into(), vec![architecture.format().class].into());
    fields.insert("dtype".into(), dtype.into());
    fields.sort_keys();
    serde_json::to_string_pretty(&fields).expect("fields are JSON") + "\n"
}
