//! Which experiments may stand in one table.

use crate::experiment::{Experiment, Layer, ModelSettings, Verdict, verdicts};
use crate::results::{RunResult, Standing, standings};

/// Experiments on the same task with the same recipe and the same kind of model, and everything found
/// out about their contestants. Numbers of different comparisons are never mixed.
pub(super) struct Comparison {
    pub experiments: Vec<Experiment>,
    pub results: Vec<RunResult>,
    pub standings: Vec<Standing>,
    pub verdicts: Vec<Verdict>,
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
        comparison.standings = standings(&comparison.results);
        for experiment in &comparison.experiments {
            for verdict in verdicts(&experiment.expectations, &comparison.standings) {
                if !comparison.verdicts.contains(&verdict) {
                    comparison.verdicts.push(verdict);
                }
            }
        }
    }
    all
}

fn comparable(one: &Experiment, other: &Experiment) -> bool {
    let model = |experiment: &Experiment| ModelSettings { widths: Vec::new(), ..experiment.model.clone() };
    one.task == other.task && one.training == other.training && model(one) == model(other)
}

impl Comparison {
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
