//! Doing runs, several side by side where that is wanted.

use crate::experiment::{RunConfig, Unit};
use crate::machine::Machine;
use crate::reporter::Reporter;
use crate::results::{RunResult, Store};
use crate::train::Trainer;
use crate::{Error, stop};
use burn::tensor::Device;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where and how runs are done.
pub(super) struct Work<'a> {
    pub store: &'a Store,
    pub device: &'a Device,
    pub machine: &'a Machine,
    pub reporter: &'a Reporter,
    pub keep_models: bool,
}

impl Work<'_> {
    /// Does the runs whose results are not there, `machine.jobs` units at a time, in order.
    ///
    /// # Errors
    ///
    /// The first error; runs under way beside it are ended first.
    pub fn all(&self, units: &[Unit]) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let failed = || failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let worker = || {
            while failed().is_none() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(unit) = units.get(index) else { break };
                let count = |units: &[Unit]| units.iter().map(Unit::runs).sum();
                if let Err(error) = self.halve(unit, count(&units[..index]), count(units)) {
                    failed().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.machine.jobs.min(units.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).map_or(Ok(()), Err)
    }

    /// Does the run `index` of `count`.
    pub fn one(&self, run: &RunConfig, index: usize, count: usize) -> Result<(), Error> {
        let reporter = self.reporter.of(index, count);
        if let Some(result) = self.known(run, usize::MAX)? {
            reporter.say(&format!("{}: already done{}", run.title(), self.elsewhere(&result)));
            return Ok(());
        }
        if stop::asked() {
            return Err(Error::Interrupted);
        }
        let directory = self.store.run(run)?;
        let result = self.trainer(run, &directory, &reporter).train()?;
        self.store.keep(run, &result)?;
        reporter.say(&summary(&run.title(), &result));
        Ok(())
    }

    /// The result of a run, if it tells how the run stood after `step` steps. One that was ended before may be wanted
    /// further, once there are more seeds or contestants.
    pub fn known(&self, run: &RunConfig, step: usize) -> Result<Option<RunResult>, Error> {
        Ok(self.store.result(run)?.filter(|result| !result.halved || result.steps >= step))
    }

    pub fn trainer<'a>(
        &'a self,
        run: &'a RunConfig,
        directory: &'a Path,
        reporter: &'a Reporter,
    ) -> Trainer<'a> {
        Trainer {
            run,
            directory,
            device: self.device,
            machine: self.machine,
            keep_model: self.keep_models,
            reporter,
        }
    }

    /// Where a result was found, if not here: times are then not this machine's.
    fn elsewhere(&self, result: &RunResult) -> String {
        let of = |machine: &Machine| {
            format!("on {} with seqzoo {} and Burn {}", machine.device, machine.seqzoo, machine.burn)
        };
        let (there, here) = (of(&result.machine), of(self.machine));
        if there == here { String::new() } else { format!(" {there}; another --out runs it {here}") }
    }
}

pub(super) fn summary(title: &str, result: &RunResult) -> String {
    let end = if result.diverged { "diverged" } else { "done" };
    format!(
        "{title}: {end} after {} steps in {:.0} s, accuracy {:.3}",
        result.steps, result.wall_seconds, result.accuracy
    )
}
