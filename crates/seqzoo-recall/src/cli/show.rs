//! `show`: a task for the eye.

use super::arguments::Common;
use super::{print, run};
use crate::Error;
use crate::experiment::{Experiment, SHIPPED};
use crate::task::{Coordinates, Slice, Split, Task};

/// Prints examples of every test segment; of a grid of depths, those of the middle depth.
pub(super) fn show(name: &str, examples: u64, common: &Common) -> Result<bool, Error> {
    let experiment = match of_kind(name)? {
        Some(experiment) => experiment,
        None => run::find(name).map_err(|error| match error {
            Error::Argument(problem) => {
                let tasks: Vec<&str> = Task::KINDS.iter().map(|(kind, _)| *kind).collect();
                Error::Argument(format!("{problem}; the tasks are {}", tasks.join(", ")))
            }
            other => other,
        })?,
    };
    let seed = common.seed.unwrap_or(experiment.seeds[0]);
    for (segment, slice) in at_middle_depth(&experiment.task) {
        for index in 0..examples {
            let at = Coordinates { seed, split: Split::Test, segment: segment as u64, index };
            let example = experiment.task.example(at);
            let text = match common.json {
                true => serde_json::json!({
                    "slice": slice, "index": index, "tokens": example.tokens, "answers": example.answers,
                })
                .to_string(),
                false => {
                    let picture = experiment.task.picture(&example);
                    format!("{slice}: test example {index} of seed {seed}\n{picture}")
                }
            };
            if !print(&text) {
                return Ok(true);
            }
        }
    }
    Ok(true)
}

/// The test segments with their numbers: of those that follow each other and differ in nothing but their depth, the
/// middle one.
fn at_middle_depth(task: &Task) -> Vec<(usize, Slice)> {
    let segments = task.segments(Split::Test).into_iter().map(|(slice, _)| slice);
    let segments: Vec<(usize, Slice)> = segments.enumerate().collect();
    let alike = |(_, a): &(usize, Slice), (_, b): &(usize, Slice)| {
        a.depth.is_some() && a.without_depth() == b.without_depth()
    };
    segments.chunk_by(alike).map(|alike| alike[alike.len() / 2]).collect()
}

/// A bare task is shown as the first shipped experiment on it sets it.
fn of_kind(name: &str) -> Result<Option<Experiment>, Error> {
    if !Task::KINDS.iter().any(|(kind, _)| *kind == name) {
        return Ok(None);
    }
    for shipped in SHIPPED {
        let experiment = run::find(shipped.name)?;
        if experiment.task.kind() == name {
            return Ok(Some(experiment));
        }
    }
    Ok(None)
}
