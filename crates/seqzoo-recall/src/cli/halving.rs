//! Successive halving: learning rates that fall behind end early.
//!
//! Source: Jamieson and Talwalkar 2016, <https://arxiv.org/abs/1502.07943> (algorithm 1).

use super::work::{Work, summary};
use crate::Error;
use crate::experiment::{RunConfig, Unit};
use crate::results::{CurvePoint, RunResult};
use crate::train::Stand;

/// A run of the unit under way.
struct Entry<'a> {
    index: usize,
    run: &'a RunConfig,
}

impl Work<'_> {
    /// Trains all learning rates up to each rung and ends the worse half of them there, by the mean accuracy over seeds
    /// on the way; the last ones run to their end.
    pub(super) fn halve(&self, unit: &Unit, index: usize, count: usize) -> Result<(), Error> {
        let entries = unit.runs.iter().enumerate().map(|(offset, run)| Entry { index: index + offset, run });
        let mut rates: Vec<Vec<Entry>> = Vec::new();
        for entry in entries {
            match rates.iter_mut().find(|rate| rate[0].run.learning_rate == entry.run.learning_rate) {
                Some(rate) => rate.push(entry),
                None => rates.push(vec![entry]),
            }
        }
        for rung in &unit.rungs {
            if rates.len() == 1 {
                break;
            }
            let mut scored = Vec::with_capacity(rates.len());
            for rate in rates {
                let scores = rate.iter().map(|entry| self.score(entry, count, *rung));
                let sum: f64 = scores.collect::<Result<Vec<f64>, _>>()?.into_iter().sum();
                scored.push((sum / rate.len() as f64, rate));
            }
            // The sort is stable: of equals, those named first stay.
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            let behind = scored.split_off(scored.len().div_ceil(2));
            for entry in behind.iter().flat_map(|(_, rate)| rate) {
                self.end(entry, count, *rung)?;
            }
            rates = scored.into_iter().map(|(_, rate)| rate).collect();
        }
        rates.iter().flatten().try_for_each(|entry| self.one(entry.run, entry.index, count))
    }

    /// The mean accuracy of a run at a rung.
    fn score(&self, entry: &Entry, count: usize, rung: usize) -> Result<f64, Error> {
        if let Some(result) = self.store.result(entry.run)? {
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
        if self.store.result(entry.run)?.is_some() {
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

/// The mean accuracy of the last evaluation that came no later than `rung`; of a diverged run 0.
fn on_the_way(result: &RunResult, rung: usize) -> f64 {
    if result.diverged {
        return 0.0;
    }
    let point = result.curve.iter().rfind(|point| point.step <= rung);
    point.map_or(0.0, CurvePoint::accuracy)
}
