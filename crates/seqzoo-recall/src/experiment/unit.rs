//! What is done in one piece: a run, or the runs whose fates depend on each other.

use super::{Experiment, RunConfig, runs};
use std::collections::{BTreeMap, BTreeSet};

/// The runs whose fates depend on each other: with halving all runs of a contestant at a width, otherwise one.
pub type Bracket = Vec<RunConfig>;

/// Brackets that are done in one piece. Runs of the same key are in the same unit: whoever does the unit has a claim to
/// them that nobody shares.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The brackets, in order.
    pub brackets: Vec<Bracket>,
    /// The steps after which the worse half of the learning rates of a bracket ends.
    pub rungs: Vec<usize>,
}

impl Unit {
    /// What the unit is dealt by: the key of its first run.
    pub fn key(&self) -> String {
        self.brackets[0][0].key()
    }

    /// How many runs it has; those that several contestants share count for each of them.
    pub fn runs(&self) -> usize {
        self.brackets.iter().map(Vec::len).sum()
    }
}

/// The units of `experiment`, in order. Contestants of the same layers share runs, and so a unit.
pub fn units(experiment: &Experiment) -> Vec<Unit> {
    let halves = !experiment.halving.is_empty();
    let together =
        |a: &RunConfig, b: &RunConfig| halves && (&a.contestant, a.width) == (&b.contestant, b.width);
    let mut units: Vec<Vec<Bracket>> = Vec::new();
    // The unit that has the run of a key.
    let mut claims: BTreeMap<String, usize> = BTreeMap::new();
    for bracket in runs(experiment).chunk_by(together) {
        let mut sharing: BTreeSet<usize> =
            bracket.iter().filter_map(|run| claims.get(&run.key()).copied()).collect();
        let unit = sharing.pop_first().unwrap_or(units.len());
        if unit == units.len() {
            units.push(Vec::new());
        }
        let others: Vec<Bracket> =
            sharing.iter().flat_map(|other| std::mem::take(&mut units[*other])).collect();
        for bracket in others.into_iter().chain([bracket.to_vec()]) {
            claims.extend(bracket.iter().map(|run| (run.key(), unit)));
            units[unit].push(bracket);
        }
    }
    let rungs = experiment.rungs();
    let units = units.into_iter().filter(|brackets| !brackets.is_empty());
    units.map(|brackets| Unit { brackets, rungs: rungs.clone() }).collect()
}

impl Experiment {
    /// The steps of the evaluations at which rates are halved: the first at or after each fraction.
    fn rungs(&self) -> Vec<usize> {
        let total = self.training.steps(&self.task);
        let step = |fraction: &f64| {
            let first = (fraction * total as f64).ceil().max(1.0) as usize;
            (first..=total).find(|step| self.training.plan(&self.task, step - 1).evaluate)
        };
        let mut rungs: Vec<usize> =
            self.halving.iter().filter_map(step).filter(|step| *step < total).collect();
        rungs.dedup();
        rungs
    }
}
