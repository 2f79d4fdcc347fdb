//! Which experiments may stand in one table.

use crate::experiment::{Experiment, Layer, Verdict, runs, verdicts};
use crate::results::{RunResult, Standing, standings};

/// Experiments on the same task with the same recipe and the same kind of model, and everything found
/// out about their contestants. Numbers of different comparisons are never mixed.
pub(super) struct Comparison {
    pub experiments: Vec<Experiment>,
    pub results: Vec<RunResult>,
    pub standings: Vec<Standing>,
    pub verdicts: Vec<Verdict>,
    /// How many runs the experiments want.
    pub wanted: usize,
}

/// Divides experiments and their results into comparisons, in the order of their first experiments.
pub(super) fn comparisons(parts: Vec<(Experiment, Vec<RunResult>)>) -> Vec<Comparison> {
    let mut all: Vec<Comparison> = Vec::new();
    for (mut experiment, mut results) in parts {
        let index = all.iter().position(|other| comparable(&other.experiments[0], &experiment));
        let index = index.unwrap_or_else(|| {
            all.push(Comparison {
                experiments: Vec::new(),
                results: Vec::new(),
                standings: Vec::new(),
                verdicts: Vec::new(),
                wanted: 0,
            });
            all.len() - 1
        });
        let comparison = &mut all[index];
        comparison.rename_namesakes(&mut experiment, &mut results);
        for result in results {
            let same =
                |other: &RunResult| (&other.key, &other.contestant) == (&result.key, &result.contestant);
            if !comparison.results.iter().any(same) {
                comparison.results.push(result);
            }
        }
        comparison.experiments.push(experiment);
    }
    for comparison in &mut all {
        comparison.judge();
    }
    all
}

fn comparable(one: &Experiment, other: &Experiment) -> bool {
    one.task == other.task
        && one.training == other.training
        && one.model.without_widths() == other.model.without_widths()
}

impl Comparison {
    /// Finds out where everybody stands, what is missing and what became of the expectations.
    fn judge(&mut self) {
        self.standings = standings(&self.results);
        let mut wanted: Vec<(String, String)> = Vec::new();
        for run in self.experiments.iter().flat_map(runs) {
            let run = (run.key(), run.contestant);
            if !wanted.contains(&run) {
                wanted.push(run);
            }
        }
        let there = |run: &(String, String)| {
            self.results.iter().any(|result| (&result.key, &result.contestant) == (&run.0, &run.1))
        };
        let finished = |contestant: &str| wanted.iter().all(|run| run.1 != contestant || there(run));
        for experiment in &self.experiments {
            for verdict in verdicts(experiment, &self.standings, finished) {
                if !self.verdicts.contains(&verdict) {
                    self.verdicts.push(verdict);
                }
            }
        }
        self.wanted = wanted.len();
    }

    /// What to know of runs that have not finished, if any have not.
    pub fn missing(&self) -> Option<String> {
        let finished = self.results.len();
        (finished < self.wanted).then(|| {
            format!("Only {finished} of {} runs have finished; --resume continues them.", self.wanted)
        })
    }

    /// The names of the experiments, each once.
    pub fn names(&self) -> String {
        let mut names: Vec<&str> =
            self.experiments.iter().map(|experiment| experiment.name.as_str()).collect();
        names.dedup();
        names.join(", ")
    }

    /// Gives a contestant another name where one of other layers already has it.
    fn rename_namesakes(&self, experiment: &mut Experiment, results: &mut [RunResult]) {
        let taken = |name: &str, layers: &[Layer]| {
            self.experiments
                .iter()
                .flat_map(|other| &other.contestants)
                .any(|other| other.name == name && other.layers != layers)
        };
        for contestant in &mut experiment.contestants {
            let old = contestant.name.clone();
            let mut count = 2;
            while taken(&contestant.name, &contestant.layers) {
                contestant.name = format!("{old} ({count})");
                count += 1;
            }
            results
                .iter_mut()
                .filter(|result| result.contestant == old)
                .for_each(|result| result.contestant.clone_from(&contestant.name));
            experiment
                .expectations
                .iter_mut()
                .filter(|expectation| expectation.contestant == old)
                .for_each(|expectation| expectation.contestant.clone_from(&contestant.name));
        }
    }
}
