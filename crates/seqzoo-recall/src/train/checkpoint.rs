//! Checkpoints: a directory per step, complete once its `progress.json` is there, so that a run
//! killed at any time finds the last complete one.

use super::progress::Progress;
use crate::Error;
use crate::files::{sync, write_text};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use seqzoo::models::LanguageModel;
use std::path::{Path, PathBuf};

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const PROGRESS: &str = "progress.json";

/// The checkpoints of one run.
pub(super) struct Checkpoints {
    directory: PathBuf,
}

impl Checkpoints {
    pub fn new(run: &Path) -> Self {
        Self { directory: run.join("checkpoints") }
    }

    /// Writes a checkpoint, then removes the older ones.
    pub fn save(
        &self,
        model: &LanguageModel,
        optimizer: &ModuleOptimizer,
        progress: &Progress,
    ) -> Result<(), Error> {
        let directory = self.directory.join(format!("{:09}", progress.step));
        if directory.join(PROGRESS).exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&directory).map_err(|error| Error::io(&directory, error))?;
        let path = directory.join(MODEL);
        model.clone().into_record().save(&path).map_err(|error| Error::contents(&path, error))?;
        let path = directory.join(OPTIMIZER);
        optimizer.save(&path).map_err(|error| Error::contents(&path, error))?;

        sync(&directory.join(MODEL))?;
        sync(&path)?;
        let text = serde_json::to_string(progress).expect("progress is JSON");
        write_text(&directory.join(PROGRESS), &text)?;
        for older in self.all()? {
            if older != directory {
                std::fs::remove_dir_all(&older).map_err(|error| Error::io(&older, error))?;
            }
        }
        Ok(())
    }

    /// The last complete checkpoint, if there is one.
    pub fn load(
        &self,
        model: LanguageModel,
        make_optimizer: impl FnOnce(&LanguageModel) -> ModuleOptimizer,
    ) -> Result<Option<(LanguageModel, ModuleOptimizer, Progress)>, Error> {
        let Some(directory) = self.all()?.into_iter().rev().find(|each| each.join(PROGRESS).exists()) else {
            return Ok(None);
        };
        let damaged = |path: &Path, problem: &dyn ToString| {
            let remedy = format!("remove {} to start this run again", self.directory.display());
            Error::contents(path, format!("{}; {remedy}", problem.to_string()))
        };
        let path = directory.join(PROGRESS);
        let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let progress = serde_json::from_str(&text).map_err(|error| damaged(&path, &error))?;
        let path = directory.join(MODEL);
        let model = ModuleRecord::load(&path)
            .and_then(|record| model.try_load_record(record))
            .map_err(|error| damaged(&path, &error))?;
        let path = directory.join(OPTIMIZER);
        let optimizer = make_optimizer(&model).load(&path).map_err(|error| damaged(&path, &error))?;
        Ok(Some((model, optimizer, progress)))
    }

    /// All checkpoint directories, the oldest first.
    fn all(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&self.directory, error)),
        };
        let named_by_step = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.len() == 9 && name.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let mut all: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named_by_step).collect();
        all.sort();
        Ok(all)
    }
}
