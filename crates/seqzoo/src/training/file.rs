//! The file of a checkpoint: safetensors with the records of model and optimizer as bytes, in Burn's own format, which
//! knows the identities that tie moments to parameters.

use crate::digest::digest;
use crate::{CheckpointError, files};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors, serialize_to_file};
use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::path::Path;

const FORMAT: &str = "seqzoo-training";
const VERSION: &str = "1";

/// What a checkpoint holds.
pub(super) struct Parts {
    pub step: u64,
    pub random: String,
    pub progress: String,
    pub model: Vec<u8>,
    pub optimizer: Vec<u8>,
}

impl Parts {
    /// A hash of everything. Burn reads its records on trust, so nothing but what was written must reach it.
    fn digest(&self) -> String {
        let step = self.step.to_le_bytes();
        digest([&step, self.random.as_bytes(), self.progress.as_bytes(), &self.model, &self.optimizer])
    }
}

pub(super) fn write(path: &Path, parts: Parts) -> Result<(), CheckpointError> {
    let digest = parts.digest();
    let metadata = HashMap::from(
        [
            ("format", FORMAT.to_string()),
            ("version", VERSION.to_string()),
            ("step", parts.step.to_string()),
            ("random", parts.random),
            ("progress", parts.progress),
            ("digest", digest),
        ]
        .map(|(key, value)| (key.to_string(), value)),
    );
    let view =
        |bytes| TensorView::new(Dtype::U8, vec![<[u8]>::len(bytes)], bytes).expect("bytes of this length");
    let views = [("model", view(&parts.model)), ("optimizer", view(&parts.optimizer))];
    files::write_with(path, |stage| serialize_to_file(views, Some(metadata), stage).map_err(in_system))
        .map_err(|error| CheckpointError::io(path, error))
}

fn in_system(error: SafeTensorError) -> Error {
    match error {
        SafeTensorError::IoError(error) => error,
        other => Error::new(ErrorKind::InvalidData, other),
    }
}

/// The parts in the file `path`, as they were written; nothing if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Parts>, CheckpointError> {
    let bytes = match files::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CheckpointError::io(path, error)),
    };
    let refuse = |problem: &dyn ToString| CheckpointError::contents(path, problem.to_string());
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| refuse(&error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| refuse(&error))?;
    let entry = |key: &str| {
        let metadata = header.metadata().as_ref();
        metadata.and_then(|entries| entries.get(key)).cloned().unwrap_or_default()
    };
    if entry("format") != FORMAT {
        return Err(refuse(&"its metadata does not say `format: seqzoo-training`"));
    }
    if entry("version") != VERSION {
        let version = entry("version");
        return Err(refuse(&format!(
            "it is of format version `{version}`, this library reads version {VERSION}"
        )));
    }
    let part =
        |name: &str| file.tensor(name).map(|view| view.data().to_vec()).map_err(|error| refuse(&error));
    let parts = Parts {
        step: entry("step").parse().map_err(|error| refuse(&error))?,
        random: entry("random"),
        progress: entry("progress"),
        model: part("model")?,
        optimizer: part("optimizer")?,
    };
    match parts.digest() == entry("digest") {
        true => Ok(Some(parts)),
        false => Err(refuse(&"it is not as it was written: its digest is another one")),
    }
}
