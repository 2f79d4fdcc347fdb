//! The directory of an experiment.
//!
//! ```text
//! experiment.json          what was run
//! runs/<key>/run.json      one run's configuration; the key is its hash
//! runs/<key>/checkpoint/   while it runs
//! runs/<key>/result.json   once it is done
//! results.jsonl            all results of the experiment, a line each
//! results.csv              the same as a table: a line for every run and slice
//! report.html, report.md, accuracy_against_state.svg, accuracy_over_length_and_depth.svg
//! lock                     held by the process that writes here
//! ```

use super::RunResult;
use crate::Error;
use crate::experiment::{Experiment, RunConfig, runs};
use crate::files::{read_json, write_json};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

const EXPERIMENT: &str = "experiment.json";

/// The directory of an experiment.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// Held for as long as the store may write.
    _lock: Option<File>,
}

impl Store {
    /// Opens `directory` for `experiment`, making it if need be.
    ///
    /// # Errors
    ///
    /// If it already holds an experiment and `resume` is false, or a different one, if another process
    /// writes there, or it cannot be written. An experiment may grow: more seeds, learning rates, widths
    /// and contestants.
    pub fn create(directory: &Path, experiment: &Experiment, resume: bool) -> Result<Self, Error> {
        std::fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
        let store = Self { directory: directory.into(), _lock: lock(&directory.join("lock"))? };
        if store.path(EXPERIMENT).exists() {
            let held: Experiment = read_json(&store.path(EXPERIMENT))?;
            let refuse = |problem: String| {
                let directory = directory.display();
                Err(Error::Argument(format!(
                    "{directory} already holds the experiment `{}`; {problem}",
                    held.name
                )))
            };
            if !resume {
                return refuse("add --resume to continue it, or choose another directory with --out".into());
            }
            if held.name != experiment.name {
                return refuse(format!("choose another directory for `{}` with --out", experiment.name));
            }
            if let Some(part) = experiment.departs_from(&held) {
                return refuse(format!(
                    "its {part} are others; repeat them, or choose another directory with --out"
                ));
            }
        }
        std::fs::create_dir_all(store.path("runs")).map_err(|error| Error::io(directory, error))?;
        write_json(&store.path(EXPERIMENT), experiment)?;
        Ok(store)
    }

    /// Opens a directory that [`create`](Self::create) made, and reads its experiment.
    ///
    /// # Errors
    ///
    /// If it holds no experiment, or one that cannot be.
    pub fn open(directory: &Path) -> Result<(Self, Experiment), Error> {
        let store = Self { directory: directory.into(), _lock: None };
        let path = store.path(EXPERIMENT);
        if !path.exists() {
            return Err(Error::Argument(format!(
                "{} holds no experiment; give a directory that `recall quick` or `recall run` wrote",
                directory.display()
            )));
        }
        let experiment: Experiment = read_json(&path)?;
        experiment.check().map_err(|error| Error::contents(&path, error))?;
        Ok((store, experiment))
    }

    /// Says that `directory` is no experiment's, so that a report on others may be written there.
    ///
    /// # Errors
    ///
    /// If it is: its results would be written over.
    pub fn check_free(directory: &Path) -> Result<(), Error> {
        if !directory.join(EXPERIMENT).exists() {
            return Ok(());
        }
        Err(Error::Argument(format!(
            "{} holds an experiment, whose results and report would be written over; choose another directory with --out",
            directory.display()
        )))
    }

    /// A path inside the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory of a run, made if need be.
    pub fn run(&self, run: &RunConfig) -> Result<PathBuf, Error> {
        let directory = self.path("runs").join(run.key());
        std::fs::create_dir_all(&directory).map_err(|error| Error::io(&directory, error))?;
        let path = directory.join("run.json");
        if !path.exists() {
            write_json(&path, run)?;
        }
        Ok(directory)
    }

    /// The result of a run, if it is done. Runs are found by their key, so the name is the caller's.
    pub fn result(&self, run: &RunConfig) -> Result<Option<RunResult>, Error> {
        let path = self.path("runs").join(run.key()).join("result.json");
        if !path.exists() {
            return Ok(None);
        }
        let result: RunResult = read_json(&path).map_err(|error| match error {
            Error::Contents { path, problem } => {
                let problem = format!("{problem}; remove this file to do the run again");
                Error::Contents { path, problem }
            }
            other => other,
        })?;
        Ok(Some(RunResult { contestant: run.contestant.clone(), ..result }))
    }

    /// Keeps the result of a run and removes what it no longer needs.
    pub fn keep(&self, run: &RunConfig, result: &RunResult) -> Result<(), Error> {
        let directory = self.run(run)?;
        write_json(&directory.join("result.json"), result)?;
        let checkpoint = directory.join("checkpoint");
        match std::fs::remove_dir_all(&checkpoint) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&checkpoint, error)),
            _ => Ok(()),
        }
    }

    /// All results of `experiment` that are there, in the order of its runs.
    pub fn results(&self, experiment: &Experiment) -> Result<Vec<RunResult>, Error> {
        runs(experiment).iter().filter_map(|run| self.result(run).transpose()).collect()
    }
}

/// Takes the lock of a directory, or nothing where the file system has no locks.
fn lock(path: &Path) -> Result<Option<File>, Error> {
    let file = File::create(path).map_err(|error| Error::io(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::Error(_)) => Ok(None),
        Err(TryLockError::WouldBlock) => Err(Error::Argument(format!(
            "another recall works in {}; wait for its end, or choose another directory with --out",
            path.parent().unwrap_or(path).display()
        ))),
    }
}
