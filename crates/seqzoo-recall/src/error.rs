//! The errors, each a sentence that says what to change.

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
        /// The error of the system.
        source: std::io::Error,
    },
    /// A file is there but says something that cannot be.
    #[error("{}: {problem}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// The mistake in a sentence.
        problem: String,
    },
    /// An experiment that cannot be run.
    #[error("the experiment `{experiment}`: {problem}")]
    Experiment {
        /// Its name.
        experiment: String,
        /// The mistake in a sentence.
        problem: String,
    },
    /// An argument of the command line that names nothing.
    #[error("{0}")]
    Argument(String),
    /// A checkpoint that cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] seqzoo::CheckpointError),
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

/// Returns a formatted sentence as the error unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($problem:tt)+) => {
        if !$holds {
            return Err(format!($($problem)+));
        }
    };
}
pub(crate) use ensure;
