//! Experiments as TOML files.

use super::{Experiment, SHIPPED};
use crate::Error;
use crate::error::ensure;
use seqzoo::check_floats;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A longer file, or one that never ends, is none of an experiment.
const MAX_BYTES: u64 = 1 << 20;

/// Names a shipped experiment whose parts stand where the document has none.
const EXTENDS: &str = "extends";

impl Experiment {
    /// Reads and checks an experiment.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or describes no experiment that can be run.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| Error::io(path, error))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(Error::contents(path, format!("it has more than {MAX_BYTES} bytes: no experiment")));
        }
        Self::parse(&text).map_err(|problem| Error::contents(path, problem))
    }

    /// Parses and checks an experiment.
    ///
    /// # Errors
    ///
    /// A sentence about the mistake in the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut document: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let experiment: Self = match document.contains_key(EXTENDS) {
            // An error in the text itself says where it is.
            false => toml::from_str(text).map_err(|error| error.to_string())?,
            true => {
                document = extended(document)?;
                document.clone().try_into().map_err(|error: toml::de::Error| error.to_string())?
            }
        };
        // What a layer's options hold is JSON by now, in which NaN has become nothing.
        document.retain(|part, _| part == "contestants");
        check_floats(&experiment.name, &document).map_err(|error| error.to_string())?;
        experiment.check().map_err(|error| error.to_string())?;
        Ok(experiment)
    }
}

/// The document with the parts of the shipped experiment that it extends. A part is a whole one: a `[task]` stands in place
/// of the other's.
fn extended(mut document: toml::Table) -> Result<toml::Table, String> {
    let mut seen = Vec::new();
    while let Some(name) = document.remove(EXTENDS) {
        let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        let base = SHIPPED.iter().find(|shipped| name.as_str() == Some(shipped.name));
        let base = base.ok_or_else(|| {
            format!("`extends = {name}` names no shipped experiment; they are {}", names.join(", "))
        })?;
        ensure!(!seen.contains(&base.name), "`{}` extends itself", base.name);
        seen.push(base.name);
        let base: toml::Table = toml::from_str(base.text).map_err(|error| error.to_string())?;
        for (part, value) in base {
            document.entry(part).or_insert(value);
        }
    }
    Ok(document)
}
