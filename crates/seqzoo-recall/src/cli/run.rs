//! `quick`, `run` and `report`.

use super::arguments::Common;
use super::print;
use super::work::Work;
use crate::experiment::{Contestant, Experiment, SHIPPED, units};
use crate::machine::Machine;
use crate::report::Report;
use crate::reporter::Reporter;
use crate::results::{RunResult, Store, write_lines};
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
    run(&experiment.sized()?, common)
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
    if common.shard.is_some() && common.strict {
        return Err(Error::Argument(
            "--strict judges all runs, of which a share has some; give it to `recall report` over all shares"
                .into(),
        ));
    }
    let (device_name, device) = device::find(common.device.as_deref())?;
    let machine = Machine::here(&device_name, use_threads(common)?, usize::from(common.jobs));
    if device::in_host_memory(&device_name) {
        let unheld = |problem| Error::Experiment { experiment: experiment.name.clone(), problem };
        experiment.check_memory().map_err(unheld)?;
    }
    let units = units(experiment);
    let units = match common.shard {
        Some(shard) => shard.of(units),
        None => units,
    };
    if units.is_empty() {
        return Err(Error::Argument(format!(
            "the experiment `{}` has fewer runs than shares: nothing is left for this one",
            experiment.name
        )));
    }
    let directory =
        common.out.clone().unwrap_or_else(|| Path::new("runs").join(directory_name(experiment, common)));
    let store = Store::create(&directory, experiment, common.resume)?;
    stop::listen();

    // A damaged result is found before hours of training, not after.
    store.results(experiment)?;
    let reporter = Reporter::new();
    for Contestant { name, state_bytes, chosen, .. } in &experiment.contestants {
        if let (Some(wanted), Some(chosen)) = (state_bytes, chosen) {
            reporter.say(&format!("{name}: {wanted} bytes of state wanted: {chosen}"));
        }
    }
    let keep_models = common.keep_models;
    Work { store: &store, device: &device, machine: &machine, reporter: &reporter, keep_models }
        .all(&units)?;
    let results = store.results(experiment)?;
    finish(vec![(experiment.clone(), results)], &directory, common)
}

/// The name of the experiment's directory; every share has its own.
fn directory_name(experiment: &Experiment, common: &Common) -> String {
    match common.shard {
        Some(shard) => format!("{}-{}", experiment.name, shard.to_string().replace('/', "-of-")),
        None => experiment.name.clone(),
    }
}

/// Reports on directories that are there.
pub(super) fn report(directories: &[PathBuf], common: &Common) -> Result<bool, Error> {
    let out = match (&common.out, directories) {
        (None, [only]) => only.clone(),
        (out, _) => {
            let out = out.clone().unwrap_or_else(|| Path::new("runs").join("report"));
            Store::check_free(&out)?;
            out
        }
    };
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
    finish(experiments, &out, common)
}

/// Prints and writes the report; whether everything expected holds, or nobody insisted.
pub(super) fn finish(
    experiments: Vec<(Experiment, Vec<RunResult>)>,
    directory: &Path,
    common: &Common,
) -> Result<bool, Error> {
    let report = Report::new(experiments);
    let page = report.write(directory)?;
    let results: Vec<RunResult> = report.results().cloned().collect();
    write_lines(directory, &results)?;
    if common.json {
        for result in results {
            print(&serde_json::to_string(&result).expect("a result is JSON"));
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
pub(super) fn use_threads(common: &Common) -> Result<usize, Error> {
    if let Some(threads) = common.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|error| Error::Argument(format!("--threads {threads}: {error}")))?;
    }
    Ok(rayon::current_num_threads())
}
