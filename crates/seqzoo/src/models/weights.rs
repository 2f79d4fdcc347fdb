//! The weights of a model in a safetensors file.

use super::language_model::LanguageModel;
use crate::{CheckpointError, SequenceMixer, files};
use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::DType;
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

impl<M: SequenceMixer> LanguageModel<M> {
    /// Writes all weights into a safetensors file, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        self.save_weights_with(path.as_ref(), None)
    }

    /// [`save_weights`](Self::save_weights) with an entry of the metadata.
    pub(super) fn save_weights_with(
        &self,
        path: &Path,
        entry: Option<(&str, &str)>,
    ) -> Result<(), CheckpointError> {
        files::write_with(path, |stage| {
            let mut store = SafetensorsStore::from_file(stage).overwrite(true);
            if let Some((key, value)) = entry {
                store = store.metadata(key, value);
            }
            self.save_into(&mut store).map_err(std::io::Error::other)
        })
        .map_err(|error| CheckpointError::io(path, error))
    }

    /// Replaces all weights by those in a safetensors file.
    ///
    /// # Errors
    ///
    /// If the file is missing or malformed, or does not hold exactly this model's weights in this model's
    /// precision. The model is then what it was.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        *self = Weights::read(path.as_ref())?.into_model(self)?;
        Ok(())
    }
}

/// What feed-forwards were called in files before there were several kinds of them, and what they are called now.
const RENAMED: (&str, &str) = (r"\.channels\.swiglu\.", ".channels.feed_forward.SwiGlu.");

/// A safetensors file in memory.
pub(super) struct Weights {
    path: PathBuf,
    bytes: Vec<u8>,
    metadata: HashMap<String, String>,
}

impl Weights {
    /// Reads a file whose header is in order.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes = files::read(path).map_err(|error| CheckpointError::io(path, error))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| CheckpointError::contents(path, error))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.into(), bytes, metadata })
    }

    /// An entry of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// `model` with these weights. Parameters of `model` that are not drawn yet are not drawn.
    pub fn into_model<M: SequenceMixer>(
        self,
        model: &LanguageModel<M>,
    ) -> Result<LanguageModel<M>, CheckpointError> {
        let Self { path, bytes, .. } = self;
        let refuse = |problem: String| CheckpointError::contents(&path, problem);
        check(&bytes, model).map_err(refuse)?;
        let mut loaded = model.clone();
        let (before, now) = RENAMED;
        let mut store = SafetensorsStore::from_bytes(Some(bytes)).with_key_remapping(before, now);
        let found = loaded.load_from(&mut store).map_err(|error| refuse(error.to_string()))?;
        match found.unused.as_slice() {
            [] => Ok(loaded),
            [first, ..] => Err(refuse(format!(
                "it holds {} tensors that the model lacks, `{first}` first",
                found.unused.len()
            ))),
        }
    }
}

/// Says why these weights cannot be those of `model`, before anything is made of either.
fn check<M: SequenceMixer>(bytes: &[u8], model: &LanguageModel<M>) -> Result<(), String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let found: usize = file.iter().map(|(_, view)| view.shape().iter().product::<usize>()).sum();
    let wanted = model.num_params();
    if found < wanted {
        return Err(format!("it holds {found} numbers, but the model has {wanted} parameters"));
    }
    let dtype = model.norm.dtype();
    match file.iter().find(|(_, view)| format!("{:?}", view.dtype()) != name(dtype)) {
        Some((tensor, view)) => {
            Err(format!("its weights `{tensor}` are {:?}, but {} is wanted", view.dtype(), name(dtype)))
        }
        None => Ok(()),
    }
}

/// The name of `dtype` in safetensors files.
fn name(dtype: DType) -> String {
    match dtype {
        DType::Flex32 => "F32".into(),
        other => format!("{other:?}"),
    }
}
