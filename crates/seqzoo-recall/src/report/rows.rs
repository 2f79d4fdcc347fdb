//! The tables of a report.

use super::table::{Cell, Look, Table};
use crate::experiment::{Contestant, Experiment};
use crate::machine::Machine;
use crate::results::{Blocks, Outcome, RunResult, SliceStanding, Standing, Streamed, Verdict};
use crate::task::Slice;

/// Who recalls: the accuracy of every contestant on every slice.
pub(super) fn recall(standings: &[Standing]) -> Table {
    let mut slices: Vec<Slice> = Vec::new();
    for entry in standings.iter().flat_map(|standing| &standing.slices) {
        if !slices.contains(&entry.slice) {
            slices.push(entry.slice);
        }
    }
    let mut headings = ["contestant", "width", "rate"].map(String::from).to_vec();
    headings.extend(slices.iter().map(Slice::to_string));
    headings.push("success".into());
    let cleared = standings.iter().any(|standing| standing.cleared.is_some());
    if cleared {
        headings.push("state cleared".into());
    }
    let rows = standings
        .iter()
        .map(|standing| {
            let mut row = name(standing);
            row.push(match standing.learning_rate {
                0.0 => "not trained".into(),
                rate => format!("{rate:e}").into(),
            });
            row.extend(slices.iter().map(|slice| {
                let found = standing.slices.iter().find(|entry| entry.slice == *slice);
                found.map_or(String::new(), |entry| accuracy(entry, standing.seeds)).into()
            }));
            row.push(success(standing).into());
            if cleared {
                row.push(standing.cleared.map_or(String::new(), |share| format!("{share:.3}")).into());
            }
            row
        })
        .collect();
    Table { headings, rows, numbers: true }
}

/// The cost: parameters, state and time of every contestant.
pub(super) fn cost(standings: &[Standing]) -> Table {
    let headings = [
        "contestant",
        "width",
        "parameters",
        "recurrent B",
        "cache B",
        "conv B",
        "train tok/s",
        "step µs",
        "wall s",
    ];
    let rows = standings
        .iter()
        .map(|standing| {
            let mut row = name(standing);
            let numbers = [
                standing.parameters.to_string(),
                standing.state.recurrent.to_string(),
                standing.state.cache.to_string(),
                standing.state.convolution.to_string(),
                format!("{:.0}", standing.training_tokens_per_second),
                format!("{:.0}", standing.step_microseconds),
                format!("{:.1}", standing.wall_seconds),
            ];
            row.extend(numbers.map(Cell::from));
            row
        })
        .collect();
    Table { headings: headings.map(String::from).to_vec(), rows, numbers: true }
}

/// The cost of long tests, if any were read in segments through the state.
pub(super) fn streamed(standings: &[Standing]) -> Option<Table> {
    let mut rows = Vec::new();
    for standing in standings {
        for entry in &standing.slices {
            let Some(Streamed { seconds, state_bytes }) = entry.streamed else { continue };
            let examples = entry.examples / standing.seeds;
            let tokens = (examples * entry.slice.length) as f64;
            let mut row = name(standing);
            row.extend([
                Cell::from(entry.slice.to_string()),
                examples.to_string().into(),
                format!("{seconds:.1}").into(),
                format!("{:.0}", tokens / seconds).into(),
                state_bytes.to_string().into(),
            ]);
            rows.push(row);
        }
    }
    let headings = [
        "contestant",
        "width",
        "tests read in segments",
        "examples",
        "seconds",
        "tokens/s",
        "state B of one sequence",
    ];
    (!rows.is_empty()).then(|| Table { headings: headings.map(String::from).to_vec(), rows, numbers: true })
}

/// How many blocks were read, if any layer chose them.
pub(super) fn blocks(standings: &[Standing]) -> Option<Table> {
    let mut rows = Vec::new();
    for standing in standings {
        for entry in &standing.slices {
            let Some(Blocks { read, loaded }) = entry.blocks else { continue };
            let examples = entry.examples as f64;
            let mut row = name(standing);
            row.extend([
                Cell::from(entry.slice.to_string()),
                entry.examples.to_string().into(),
                format!("{:.2}", read as f64 / (examples * entry.slice.length as f64)).into(),
                format!("{:.1}", loaded as f64 / examples).into(),
            ]);
            rows.push(row);
        }
    }
    let headings = [
        "contestant",
        "width",
        "tests with chosen blocks",
        "examples",
        "blocks read per token",
        "blocks loaded per example",
    ];
    (!rows.is_empty()).then(|| Table { headings: headings.map(String::from).to_vec(), rows, numbers: true })
}

fn name(standing: &Standing) -> Vec<Cell> {
    vec![standing.contestant.clone().into(), standing.width.to_string().into()]
}

/// How many seeds succeeded, and how many diverged.
fn success(standing: &Standing) -> String {
    let succeeded = format!("{:.0}/{}", standing.success * standing.seeds as f64, standing.seeds);
    match standing.diverged {
        0 => succeeded,
        diverged => format!("{succeeded} ({diverged} diverged)"),
    }
}

/// The median, and with several seeds the spread.
fn accuracy(entry: &SliceStanding, seeds: usize) -> String {
    match seeds {
        1 => format!("{:.3}", entry.median),
        _ => format!("{:.3} [{:.3}, {:.3}]", entry.median, entry.min, entry.max),
    }
}

/// Expectations beside what was found.
pub(super) fn verdicts(verdicts: &[Verdict]) -> Table {
    let rows = verdicts
        .iter()
        .map(|verdict| {
            let (text, look) = match verdict.outcome {
                Outcome::Holds => ("holds", Look::Good),
                Outcome::Fails => ("FAILS", Look::Bad),
                Outcome::Diverged => ("FAILS: a run diverged", Look::Bad),
                Outcome::Unfinished => ("FAILS: runs are missing", Look::Bad),
            };
            vec![
                verdict.expectation.contestant.clone().into(),
                verdict.expectation.bound().into(),
                verdict.found.map_or("no result yet".into(), |found| format!("{found:.3}")).into(),
                Cell { text: text.into(), look },
            ]
        })
        .collect();
    let headings = ["contestant", "expected accuracy", "found", "verdict"].map(String::from).to_vec();
    Table { headings, rows, numbers: false }
}

/// The robustness of every contestant that tried several learning rates.
pub(super) fn robustness(standings: &[Standing]) -> Option<Table> {
    let rows: Vec<Vec<Cell>> = standings
        .iter()
        .filter(|standing| standing.rates.len() > 1)
        .map(|standing| {
            let rates: Vec<String> = standing
                .rates
                .iter()
                .map(|rate| {
                    let ended =
                        rate.ended.map_or(String::new(), |step| format!(" (ended after {step} steps)"));
                    format!("{:e}: {:.3}{ended}", rate.learning_rate, rate.mean)
                })
                .collect();
            vec![
                format!("{}, width {}", standing.contestant, standing.width).into(),
                standing.robust_decades.map_or("unknown".into(), |decades| format!("{decades:.1}")).into(),
                rates.join("   ").into(),
            ]
        })
        .collect();
    let headings = ["contestant", "decades of rates within 0.9 of the best", "mean accuracy at each rate"];
    (!rows.is_empty()).then(|| Table { headings: headings.map(String::from).to_vec(), rows, numbers: false })
}

/// Where the numbers come from.
pub(super) fn provenance(experiments: &[Experiment], results: &[RunResult]) -> Table {
    let mut machines: Vec<&Machine> = Vec::new();
    for result in results {
        if !machines.contains(&&result.machine) {
            machines.push(&result.machine);
        }
    }
    let mut rows = Vec::new();
    let mut put = |name: &str, value: String| rows.push(vec![name.into(), value.into()]);
    for experiment in experiments {
        let list = |numbers: Vec<String>| numbers.join(", ");
        put("experiment", format!("{} ({} data)", experiment.name, experiment.data_law()));
        put("seeds", list(experiment.seeds.iter().map(u64::to_string).collect()));
        let rates = |rates: &[f64]| list(rates.iter().map(|rate| format!("{rate:e}")).collect());
        put("learning rates", rates(&experiment.learning_rates));
        for Contestant { name, state_bytes, chosen, .. } in &experiment.contestants {
            if let (Some(wanted), Some(chosen)) = (state_bytes, chosen) {
                put(&format!("state of {name}"), format!("{wanted} bytes wanted: {chosen}"));
            }
        }
        for contestant in experiment.contestants.iter().filter(|each| !each.learning_rates.is_empty()) {
            put(&format!("learning rates of {}", contestant.name), rates(&contestant.learning_rates));
        }
        if !experiment.halving.is_empty() {
            let fractions = list(experiment.halving.iter().map(f64::to_string).collect());
            put(
                "successive halving",
                format!("the worse half of the rates ends after {fractions} of the steps"),
            );
        }
        put("steps", experiment.training.steps(&experiment.task).to_string());
    }
    for machine in machines {
        let Machine { processor, cores, threads, jobs, system, device, seqzoo, burn, optimised } = machine;
        put("machine", format!("{processor}, {cores} cores, {system}"));
        let shared = if *jobs > 1 { format!(", {jobs} runs side by side") } else { String::new() };
        put("device", format!("{device}, {threads} threads{shared}, f32"));
        let build = if *optimised { "optimised" } else { "not optimised: times mean nothing" };
        put("versions", format!("seqzoo {seqzoo}, Burn {burn}, {build}"));
    }
    let mut said = Vec::new();
    for RunResult { contestant, forms, .. } in results.iter().filter(|result| !result.forms.is_empty()) {
        if !said.contains(&(contestant, forms)) {
            said.push((contestant, forms));
            put(&format!("layers of {contestant}"), forms.join("; "));
        }
    }
    Table { headings: vec!["provenance".into(), String::new()], rows, numbers: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Expectation;

    #[test]
    fn a_contestant_may_be_called_like_a_verdict() {
        let expectation = Expectation {
            contestant: "holds".into(),
            pairs: None,
            length: None,
            at_least: Some(0.5),
            at_most: None,
        };
        let verdict = Verdict { expectation, found: Some(0.25), outcome: Outcome::Fails };
        let page = verdicts(&[verdict]).html();
        assert!(page.contains("<td>holds</td>"), "{page}");
        assert!(page.contains("<td class=\"bad\">FAILS</td>"), "{page}");
    }
}
