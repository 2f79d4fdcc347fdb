//! What is done in one piece: a run, or the runs whose fates depend on each other.

use super::{Experiment, RunConfig, runs};

/// Runs that are done in one piece.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The runs, in order.
    pub runs: Vec<RunConfig>,
    /// The steps after which the worse half of their learning rates ends.
    pub rungs: Vec<usize>,
}

impl Unit {
    /// What the unit is dealt and found by: the key of its first run.
    pub fn key(&self) -> String {
        self.runs[0].key()
    }
}

/// The units of `experiment`, in order: a run each, or with halving all runs of a contestant at a width.
pub fn units(experiment: &Experiment) -> Vec<Unit> {
    let runs = runs(experiment);
    if experiment.halving.is_empty() {
        return runs.into_iter().map(|run| Unit { runs: vec![run], rungs: Vec::new() }).collect();
    }
    let rungs = experiment.rungs();
    runs.chunk_by(|a, b| (&a.contestant, a.width) == (&b.contestant, b.width))
        .map(|runs| Unit { runs: runs.to_vec(), rungs: rungs.clone() })
        .collect()
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
