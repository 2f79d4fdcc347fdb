//! Files that are whole or not there: what a killed process leaves behind can always be read.

use crate::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::Path;

/// Writes a file whole or not at all: beside its place first, then renamed.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text).map_err(|error| Error::io(&partial, error))?;
    sync(&partial)?;
    std::fs::rename(&partial, path).map_err(|error| Error::io(path, error))
}

/// Waits until a file has reached the disk, so that what is renamed or removed afterwards may rely on it.
pub(crate) fn sync(path: &Path) -> Result<(), Error> {
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::io(path, error))
}

/// Writes a value as JSON that a person can read.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    write_text(path, &(serde_json::to_string_pretty(value).expect("results are JSON") + "\n"))
}

/// Reads a value from JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
    serde_json::from_str(&text).map_err(|error| Error::contents(path, error))
}
