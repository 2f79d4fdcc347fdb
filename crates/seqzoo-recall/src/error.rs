//! What can go wrong, each in one sentence that says what to change.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// An error of the suite.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is there but says something that cannot be.
    #[error("{}: {problem}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An experiment that cannot be run.
    #[error("the experiment `{experiment}`: {problem}")]
    Experiment {
        /// Its name.
        experiment: String,
        /// What is wrong.
        problem: String,
    },
    /// An argument of the command line that names nothing.
    #[error("{0}")]
    Argument(String),
    /// The user stopped the program.
    #[error("interrupted; the same command with --resume continues from the last checkpoint")]
    Interrupted,
}

impl Error {
    /// An error of the file system about `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// An error about what `path` holds.
    pub fn contents(path: &Path, problem: impl ToString) -> Self {
        Self::Contents { path: path.into(), problem: problem.to_string() }
    }
}
