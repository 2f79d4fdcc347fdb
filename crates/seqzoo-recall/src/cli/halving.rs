//! Successive halving: learning rates that fall behind end early.
//!
//! Source: Jamieson and Talwalkar 2016, <https://arxiv.org/abs/1502.07943> (algorithm 1).

use super::work::{Work, summary};
use crate::Error;
use crate::experiment::{RunConfig, Unit};
use crate::results::{RunResult, accuracy_at};
use crate::train::Stand;
use std::collections::BTreeSet;

/// A run of a unit under way.
struct Entry<'a> {
    index: usize,
    run: &'a RunConfig,
}

/// All seeds of a learning rate.
type Rate<'a> = Vec<Entry<'a>>;

impl Work<'_> {
    /// Does the runs of a unit, numbered from `index` on: trains all learning rates of a bracket up to each rung and ends
    /// the worse half of them there, unless another bracket goes on with them; the last ones run to their end.
    pub(super) fn halve(&self, unit: &Unit, index: usize, count: usize) -> Result<(), Error> {
        let mut indices = index..;
        let mut brackets: Vec<Vec<Rate>> =
            unit.brackets.iter().map(|bracket| rates(indices.by_ref().zip(bracket))).collect();
        for rung in &unit.rungs {
            let mut behind: Vec<Entry> = Vec::new();
            for rates in brackets.iter_mut().filter(|rates| rates.len() > 1) {
                behind.extend(self.worse_half(rates, count, *rung)?.into_iter().flatten());
            }
            let going: BTreeSet<String> =
                brackets.iter().flatten().flatten().map(|entry| entry.run.key()).collect();
            for entry in behind.iter().filter(|entry| !going.contains(&entry.run.key())) {
                self.end(entry, count, *rung)?;
            }
        }
        brackets.iter().flatten().flatten().try_for_each(|entry| self.one(entry.run, entry.index, count))
    }

    /// Takes the worse half out of `rates`, by the mean accuracy over seeds at a rung.
    fn worse_half<'a>(
        &self,
        rates: &mut Vec<Rate<'a>>,
        count: usize,
        rung: usize,
    ) -> Result<Vec<Rate<'a>>, Error> {
        let mut scored = Vec::with_capacity(rates.len());
        for rate in std::mem::take(rates) {
            let scores = rate.iter().map(|entry| self.score(entry, count, rung));
            let sum: f64 = scores.collect::<Result<Vec<f64>, _>>()?.into_iter().sum();
            scored.push((sum / rate.len() as f64, rate));
        }
        // The sort is stable: of equals, those named first stay.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        rates.extend(scored.into_iter().map(|(_, rate)| rate));
        Ok(rates.split_off(rates.len().div_ceil(2)))
    }

    /// The mean accuracy of a run at a rung.
    fn score(&self, entry: &Entry, count: usize, rung: usize) -> Result<f64, Error> {
        if let Some(result) = self.known(entry.run, rung)? {
            return Ok(on_the_way(&result, rung));
        }
        let reporter = self.reporter.of(entry.index, count);
        let directory = self.store.run(entry.run)?;
        match self.trainer(entry.run, &directory, &reporter).train_until(rung)? {
            Stand::Paused(accuracy) => Ok(accuracy),
            Stand::Ended(result) => {
                self.store.keep(entry.run, &result)?;
                reporter.say(&summary(&entry.run.title(), &result));
                Ok(on_the_way(&result, rung))
            }
        }
    }

    /// Ends a run that has fallen behind, unless it has ended by itself.
    fn end(&self, entry: &Entry, count: usize, rung: usize) -> Result<(), Error> {
        if self.known(entry.run, rung)?.is_some() {
            return Ok(());
        }
        let reporter = self.reporter.of(entry.index, count);
        let directory = self.store.run(entry.run)?;
        let result = self.trainer(entry.run, &directory, &reporter).end()?;
        self.store.keep(entry.run, &result)?;
        reporter.say(&format!("{}: its rate falls behind and ends after {rung} steps", entry.run.title()));
        Ok(())
    }
}

/// The runs of a bracket by their learning rates, in order.
fn rates<'a>(runs: impl Iterator<Item = (usize, &'a RunConfig)>) -> Vec<Rate<'a>> {
    let mut rates: Vec<Rate> = Vec::new();
    for (index, run) in runs {
        match rates.iter_mut().find(|rate| rate[0].run.learning_rate == run.learning_rate) {
            Some(rate) => rate.push(Entry { index, run }),
            None => rates.push(vec![Entry { index, run }]),
        }
    }
    rates
}

/// The mean accuracy of the last evaluation that came no later than `rung`; 0 if the run had diverged by then.
fn on_the_way(result: &RunResult, rung: usize) -> f64 {
    match result.diverged && result.steps <= rung {
        true => 0.0,
        false => accuracy_at(&result.curve, rung),
    }
}
