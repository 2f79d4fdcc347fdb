//! A model in a directory, of the field's formats or of this library's own.

use crate::vocabulary::Vocabulary;
use burn::module::Module;
use burn::tensor::Device;
use indicatif::ProgressBar;
use seqzoo::models::LanguageModel;
use seqzoo::{checkpoint, files};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::{Duration, Instant};

/// A model, and what its directory says of its tokens.
pub struct Checkpoint {
    /// The model.
    pub model: LanguageModel,
    /// Its tokens as text, if there is one.
    pub vocabulary: Option<Vocabulary>,
    /// The tokens that end a text.
    pub end_tokens: Vec<usize>,
}

impl Checkpoint {
    /// Reads the directory, with a line that moves while it does if stderr is a terminal, and one that stays.
    ///
    /// # Errors
    ///
    /// If there is no such directory, or it holds no model, or a tokenizer that cannot be read.
    pub fn load(directory: &Path, device: &Device) -> Result<Self, String> {
        if !directory.is_dir() {
            return Err(format!("--checkpoint {}: there is no such directory", directory.display()));
        }
        let begin = Instant::now();
        let progress = ProgressBar::new_spinner().with_message(format!("loading {}", directory.display()));
        progress.enable_steady_tick(Duration::from_millis(100));
        let read = Self::read(directory, device);
        progress.finish_and_clear();
        let (read, format) = read?;
        eprintln!(
            "loaded {}: {format}, {} parameters, {:.1} s",
            directory.display(),
            read.model.num_params(),
            begin.elapsed().as_secs_f64()
        );
        Ok(read)
    }

    /// The checkpoint, and what its format is called.
    fn read(directory: &Path, device: &Device) -> Result<(Self, String), String> {
        let (model, end_tokens, format) = match is_own(directory) {
            true => {
                let model = LanguageModel::load(directory, device).map_err(|error| error.to_string())?;
                (model, Vec::new(), "the format of this library".to_string())
            }
            false => {
                let description = checkpoint::read_config(directory).map_err(|error| error.to_string())?;
                let model = checkpoint::read(directory, device).map_err(|error| error.to_string())?;
                (model, description.end_tokens, description.architecture.to_string())
            }
        };
        let vocabulary = Vocabulary::of(directory, model.config().vocab_size)?;
        Ok((Self { model, vocabulary, end_tokens }, format))
    }
}

/// Whether the directory is of the format of this library: its `config.json` has a pattern of layers, or, where an
/// interrupted save has left none, it is no published one.
fn is_own(directory: &Path) -> bool {
    match files::read(directory.join("config.json")) {
        Ok(bytes) => serde_json::from_slice::<Map<String, Value>>(&bytes)
            .is_ok_and(|fields| fields.contains_key("pattern")),
        Err(_) => checkpoint::read_config(directory).is_err() && directory.join("model.safetensors").exists(),
    }
}
