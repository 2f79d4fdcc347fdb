//! Text and JSON in files that are whole or not there.

use crate::Error;
use seqzoo::files;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Writes a file whole or not at all.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    files::write(path, text).map_err(|error| Error::io(path, error))
}

/// Writes a value as JSON that a person can read.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    write_text(path, &(serde_json::to_string_pretty(value).expect("results are JSON") + "\n"))
}

/// Reads a value from JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = files::read(path).map_err(|error| Error::io(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::contents(path, error))
}
