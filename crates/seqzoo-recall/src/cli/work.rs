//! Doing runs, several side by side where that is wanted.

use crate::experiment::{RunConfig, Unit};
use crate::machine::Machine;
use crate::reporter::Reporter;
use crate::results::{RunResult, Store};
use crate::train::Trainer;
use crate::{Error, stop};
use burn::tensor::Device;
use std::collections::BTreeSet;
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
        // Contestants of the same layers share runs.
        let mut keys = BTreeSet::new();
        let (first, again): (Vec<usize>, Vec<usize>) =
            (0..units.len()).partition(|index| keys.insert(units[*index].key()));
        self.some(units, &first)?;
        again.iter().try_for_each(|index| self.unit(units, *index))
    }

    fn some(&self, units: &[Unit], indices: &[usize]) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let failed = || failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let worker = || {
            while failed().is_none() {
                let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                if let Err(error) = self.unit(units, *index) {
                    failed().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.machine.jobs.min(indices.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).map_or(Ok(()), Err)
    }

    fn unit(&self, units: &[Unit], index: usize) -> Result<(), Error> {
        let count = |units: &[Unit]| units.iter().map(|unit| unit.runs.len()).sum::<usize>();
        let (unit, before, all) = (&units[index], count(&units[..index]), count(units));
        match unit.runs.as_slice() {
            [run] => self.one(run, before, all),
            _ => self.halve(unit, before, all),
        }
    }

    /// Does the run `index` of `count`.
    pub fn one(&self, run: &RunConfig, index: usize, count: usize) -> Result<(), Error> {
        let reporter = self.reporter.of(index, count);
        // A run that was ended early may be wanted whole, once there are more seeds.
        if let Some(result) = self.store.result(run)?.filter(|result| !result.halved) {
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
