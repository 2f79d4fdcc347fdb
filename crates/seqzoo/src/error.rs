//! Errors of configurations, states, checkpoints and prompts.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// A configuration that describes no layer or model.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{subject}: {problem}")]
pub struct ConfigError {
    subject: String,
    problem: String,
}

impl ConfigError {
    /// An error about `subject`, a layer or a model.
    pub fn new(subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { subject: subject.into(), problem: problem.into() }
    }

    /// An error unless `holds`.
    pub(crate) fn unless(holds: bool, subject: &str, problem: impl FnOnce() -> String) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(subject, problem())) }
    }

    /// An error unless `value` is finite and at least 0: an epsilon or a standard deviation.
    pub(crate) fn unless_finite(subject: &str, name: &str, value: f64) -> Result<(), Self> {
        Self::unless(value.is_finite() && value >= 0.0, subject, || {
            format!("{name} = {value}, but a finite number of at least 0 is wanted")
        })
    }
}

/// A state file that cannot be written or does not fit.
#[derive(Debug, Error)]
pub enum StateError {
    /// The file cannot be read or written.
    #[error("the state file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a state file, or is cut short.
    #[error("{} is not a whole state file: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file holds a state, but not one of this layer.
    #[error("{} does not fit: {problem}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        problem: String,
    },
}

impl StateError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn malformed(path: &Path, problem: impl ToString) -> Self {
        Self::Malformed { path: path.into(), problem: problem.to_string() }
    }

    pub(crate) fn mismatch(path: &Path, problem: impl ToString) -> Self {
        Self::Mismatch { path: path.into(), problem: problem.to_string() }
    }
}

/// A model directory that cannot be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is there but its contents do not fit.
    #[error("{}: {problem}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The configuration in the directory describes no model.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl CheckpointError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    pub(crate) fn contents(path: &Path, problem: impl ToString) -> Self {
        Self::Contents { path: path.into(), problem: problem.to_string() }
    }
}

/// A prompt, a state, sampling options or logits from which nothing can be generated.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum GenerateError {
    /// The prompt holds no token.
    #[error("the prompt is empty; generation needs at least one token to continue from")]
    EmptyPrompt,
    /// The prompt holds a token that the model does not know.
    #[error("the prompt holds the token {token}, but the vocabulary has {vocabulary} tokens (0 to {})", vocabulary - 1)]
    UnknownToken {
        /// The token.
        token: usize,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// The state to continue from does not fit.
    #[error("the state to continue from {0}")]
    State(String),
    /// A sampling option is out of range.
    #[error("{0}")]
    Sampling(String),
    /// Nothing can be drawn: all tokens are masked, or the model computes what is not a number.
    #[error("none of the {logits} logits is a number above minus infinity, so that no token can be drawn")]
    NoToken {
        /// How many logits there are.
        logits: usize,
    },
}

impl GenerateError {
    /// An error about the sampling unless `holds`.
    pub(crate) fn unless(holds: bool, problem: impl FnOnce() -> String) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Sampling(problem())) }
    }
}
