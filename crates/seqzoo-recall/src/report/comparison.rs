//! Which experiments may stand in one table.

use crate::experiment::{Experiment, RunConfig, runs};
use crate::results::{RunResult, Standing, Verdict, standings, verdicts};

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
    let mut groups: Vec<Vec<(Experiment, Vec<RunResult>)>> = Vec::new();
    for mut part in parts {
        match groups.iter_mut().find(|group| comparable(&group[0].0, &part.0)) {
            Some(group) => {
                rename_namesakes(group, &mut part);
                group.push(part);
            }
            None => groups.push(vec![part]),
        }
    }
    groups.into_iter().map(Comparison::new).collect()
}

fn comparable(one: &Experiment, other: &Experiment) -> bool {
    one.task == other.task
        && one.training == other.training
        && one.model.without_widths() == other.model.without_widths()
}

impl Comparison {
    /// Finds out where everybody stands, what is missing and what became of the expectations.
    fn new(parts: Vec<(Experiment, Vec<RunResult>)>) -> Self {
        let (experiments, results): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let name = |result: &RunResult| (result.key.clone(), result.contestant.clone());
        let mut results: Vec<RunResult> = results.into_iter().flatten().collect();
        // Of a run that ended early in one directory and was whole in another, the whole one counts.
        results.sort_by_key(|result| result.halved);
        let results = once(results.into_iter(), name);
        let standings = standings(&results);

        let wanted = once(experiments.iter().flat_map(runs), |run| (run.key(), run.contestant.clone()));
        let there = |run: &RunConfig| {
            let key = run.key();
            results.iter().any(|result| result.key == key && result.contestant == run.contestant)
        };
        let missing: Vec<&RunConfig> = wanted.iter().filter(|run| !there(run)).collect();
        let finished = |contestant: &str| missing.iter().all(|run| run.contestant != contestant);
        let mut all: Vec<Verdict> = Vec::new();
        for verdict in experiments.iter().flat_map(|each| verdicts(each, &standings, finished)) {
            if !all.contains(&verdict) {
                all.push(verdict);
            }
        }
        let wanted = wanted.len();
        Self { experiments, results, standings, verdicts: all, wanted }
    }

    /// A sentence about runs that have not finished, if there are any.
    pub fn missing(&self) -> Option<String> {
        let finished = self.results.len();
        (finished < self.wanted).then(|| {
            format!("Only {finished} of {} runs are here: --resume continues them, `recall report` merges the directories of shares.", self.wanted)
        })
    }

    /// The names of the experiments, each once.
    pub fn names(&self) -> String {
        once(self.experiments.iter().map(|experiment| experiment.name.clone()), String::clone).join(", ")
    }
}

/// The first of all items of the same name, in order.
fn once<T, K: PartialEq>(items: impl Iterator<Item = T>, name: impl Fn(&T) -> K) -> Vec<T> {
    let (mut kept, mut names) = (Vec::new(), Vec::new());
    for item in items {
        let name = name(&item);
        if !names.contains(&name) {
            names.push(name);
            kept.push(item);
        }
    }
    kept
}

/// Gives a contestant of `part` another name if one of other layers already has it.
fn rename_namesakes(group: &[(Experiment, Vec<RunResult>)], part: &mut (Experiment, Vec<RunResult>)) {
    let (experiment, results) = part;
    let own: Vec<String> = experiment.contestants.iter().map(|contestant| contestant.name.clone()).collect();
    for contestant in &mut experiment.contestants {
        let others = || group.iter().flat_map(|(other, _)| &other.contestants);
        let clashes =
            |name: &str| others().any(|other| other.name == name && other.layers != contestant.layers);
        let old = contestant.name.clone();
        if !clashes(&old) {
            continue;
        }
        let new = (2..)
            .map(|count| format!("{old} ({count})"))
            .find(|name| !clashes(name) && !own.contains(name))
            .expect("there are more numbers than contestants");
        let results = results.iter_mut().map(|result| &mut result.contestant);
        let expectations = experiment.expectations.iter_mut().map(|expectation| &mut expectation.contestant);
        for name in results.chain(expectations).filter(|name| **name == old) {
            name.clone_from(&new);
        }
        contestant.name = new;
    }
}
