//! Experiments as TOML files.

use super::Experiment;
use crate::Error;
use seqzoo::check_floats;
use std::path::Path;

impl Experiment {
    /// Reads and checks an experiment.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or describes no experiment that can be run.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        Self::parse(&text).map_err(|problem| Error::contents(path, problem))
    }

    /// Parses and checks an experiment.
    ///
    /// # Errors
    ///
    /// A sentence about the mistake in the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let experiment: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        // What a layer's options hold is JSON by now, in which NaN has become nothing.
        let mut document: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        document.retain(|part, _| part == "contestants");
        check_floats(&experiment.name, &document).map_err(|error| error.to_string())?;
        experiment.check().map_err(|error| error.to_string())?;
        Ok(experiment)
    }
}
