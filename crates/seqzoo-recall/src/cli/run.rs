//! `quick`, `run` and `report`.

use super::arguments::Common;
use super::print;
use crate::experiment::{Experiment, SHIPPED, runs};
use crate::machine::Machine;
use crate::report::Report;
use crate::reporter::Reporter;
use crate::results::{RunResult, Store};
use crate::train::train;
use crate::{Error, device, stop};
use std::path::{Path, PathBuf};

/// Runs the shipped quick experiment.
pub(super) fn quick(common: &Common) -> Result<bool, Error> {
    named("quick", common)
}

/// Runs the experiment of a file, or a shipped one.
pub(super) fn named(name: &str, common: &Common) -> Result<bool, Error> {
    let mut experiment = find(name)?;
    if let Some(seed) = common.seed {
        experiment.seeds = vec![seed];
    }
    run(&experiment, common)
}

/// The experiment of a file, or a shipped one.
pub(super) fn find(name: &str) -> Result<Experiment, Error> {
    if let Some(experiment) = Experiment::shipped(name)? {
        return Ok(experiment);
    }
    let path = Path::new(name);
    if path.is_dir() {
        return Err(Error::Argument(format!(
            "{name} is a directory; give a TOML file (`recall report {name}` reports on results)"
        )));
    }
    if path.extension().is_none() && !path.exists() {
        let shipped: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
        return Err(Error::Argument(format!(
            "there is no file and no shipped experiment `{name}`; the shipped ones are {}",
            shipped.join(", ")
        )));
    }
    Experiment::read(path)
}

fn run(experiment: &Experiment, common: &Common) -> Result<bool, Error> {
    let (device_name, device) = device::find(common.device.as_deref())?;
    let machine = Machine::here(&device_name, use_threads(common)?);
    if device::in_host_memory(&device_name) {
        let unheld = |problem| Error::Experiment { experiment: experiment.name.clone(), problem };
        experiment.check_memory().map_err(unheld)?;
    }
    let directory = common.out.clone().unwrap_or_else(|| Path::new("runs").join(&experiment.name));
    let store = Store::create(&directory, experiment, common.resume)?;
    stop::listen();

    // A damaged result is found before hours of training, not after.
    store.results(experiment)?;
    let runs = runs(experiment);
    let reporter = Reporter::new();
    for (index, run) in runs.iter().enumerate() {
        let reporter = reporter.of(index, runs.len());
        if let Some(result) = store.result(run)? {
            reporter.say(&format!("{}: already done{}", run.title(), elsewhere(&result, &machine)));
            continue;
        }
        let result = train(run, &store.run(run)?, &device, &machine, &reporter)?;
        store.keep(run, &result)?;
        reporter.say(&summary(&run.title(), &result));
    }
    let results = store.results(experiment)?;
    store.write_lines(&results)?;
    finish(vec![(experiment.clone(), results)], &directory, common)
}

/// Where a result was found, if not here: times are then not this machine's.
fn elsewhere(result: &RunResult, machine: &Machine) -> String {
    let of = |machine: &Machine| {
        format!("on {} with seqzoo {} and Burn {}", machine.device, machine.seqzoo, machine.burn)
    };
    let (there, here) = (of(&result.machine), of(machine));
    if there == here { String::new() } else { format!(" {there}; another --out runs it {here}") }
}

fn summary(title: &str, result: &RunResult) -> String {
    let end = if result.diverged { "diverged" } else { "done" };
    format!(
        "{title}: {end} after {} steps in {:.0} s, accuracy {:.3}",
        result.steps, result.wall_seconds, result.accuracy
    )
}

/// Reports on directories that are there.
pub(super) fn report(directories: &[PathBuf], common: &Common) -> Result<bool, Error> {
    let mut experiments = Vec::new();
    for directory in directories {
        let (store, experiment) = Store::open(directory)?;
        let results = store.results(&experiment)?;
        experiments.push((experiment, results));
    }
    if experiments.iter().all(|(_, results)| results.is_empty()) {
        let listed: Vec<String> =
            directories.iter().map(|directory| directory.display().to_string()).collect();
        return Err(Error::Argument(format!(
            "no run in {} has finished yet; continue it with `recall run ... --resume`",
            listed.join(", ")
        )));
    }
    let out = common.out.clone().unwrap_or_else(|| match directories {
        [only] => only.clone(),
        _ => Path::new("runs").join("report"),
    });
    finish(experiments, &out, common)
}

/// Prints and writes the report; whether everything expected holds, or nobody insisted.
fn finish(
    experiments: Vec<(Experiment, Vec<RunResult>)>,
    directory: &Path,
    common: &Common,
) -> Result<bool, Error> {
    let report = Report::new(experiments);
    let page = report.write(directory)?;
    if common.json {
        for result in report.results() {
            print(&serde_json::to_string(result).expect("a result is JSON"));
        }
    } else {
        print(&format!("\n{}\n\nThe report: {}", report.text(), page.display()));
    }
    let failed: Vec<&str> = report
        .verdicts()
        .filter(|verdict| !verdict.holds())
        .map(|verdict| verdict.expectation.contestant.as_str())
        .collect();
    if !failed.is_empty() {
        Reporter::new().say(&format!("expectations that fail: {}", failed.join(", ")));
    }
    Ok(failed.is_empty() || !common.strict)
}

/// Sets the number of threads of tensor operations, and tells it.
fn use_threads(common: &Common) -> Result<usize, Error> {
    if let Some(threads) = common.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|error| Error::Argument(format!("--threads {threads}: {error}")))?;
    }
    Ok(rayon::current_num_threads())
}
