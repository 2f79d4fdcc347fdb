//! Experiments as TOML files.

use super::Experiment;
use crate::Error;
use seqzoo::check_floats;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A longer file, or one that never ends, is none of an experiment.
const MAX_BYTES: u64 = 1 << 20;

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
        let mut experiment: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        // What a layer's options hold is JSON by now, in which NaN has become nothing.
        let mut document: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        document.retain(|part, _| part == "contestants");
        check_floats(&experiment.name, &document).map_err(|error| error.to_string())?;
        experiment.meet_budgets()?;
        experiment.check().map_err(|error| error.to_string())?;
        Ok(experiment)
    }
}
