//! Directories of experiments that have run: `experiment.json` and the results.

use crate::documents::{Document, File, spoilt};
use crate::hostile::{Syntax, changed, damaged, random};
use crate::trial::any_document_is_read_or_refused;
use proptest::prelude::*;
use seqzoo_recall::experiment::{Experiment, RunConfig, runs};
use seqzoo_recall::report::Report;
use seqzoo_recall::results::Store;
use serde_json::json;

fn result(run: &RunConfig) -> Vec<u8> {
    let slices: Vec<_> = [4, 8, 16]
        .map(|pairs| json!({"slice": {"length": 64, "pairs": pairs}, "accuracy": 0.5, "examples": 512}))
        .to_vec();
    let result = json!({
        "key": run.key(), "contestant": run.contestant, "width": run.width, "learning_rate": run.learning_rate,
        "seed": run.seed, "accuracy": 0.5, "slices": slices, "diverged": false, "parameters": 1000,
        "state": {"recurrent": 64, "cache": 0, "convolution": 8}, "steps": 2000, "training_tokens_per_second": 1e5,
        "step_microseconds": 20.0, "wall_seconds": 60.0, "curve": [{"step": 2000, "loss": 0.5, "slices": slices}],
        "forms": ["one"], "machine": {
            "processor": "one", "cores": 2, "threads": 2, "system": "linux", "device": "flex", "seqzoo": "0.1.0",
            "burn": "0.22.1", "optimised": true
        },
    });
    serde_json::to_vec(&result).unwrap()
}

fn hostile(file: File, others: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let tree = serde_json::from_slice(&file.bytes).unwrap();
    prop_oneof![
        1 => random(),
        2 => damaged(file.bytes, others),
        10 => changed(tree, Syntax::Json)
    ]
}

#[test]
fn any_directory_is_reported_or_an_error() {
    let experiment = Experiment::shipped("quick").unwrap().unwrap();
    let ran = runs(&experiment).into_iter().take(2);
    let mut files: Vec<_> =
        ran.map(|run| (format!("runs/{}/result.json", run.key()), result(&run))).collect();
    files.push(("experiment.json".into(), serde_json::to_vec(&experiment).unwrap()));
    any_document_is_read_or_refused(
        spoilt(vec![Document::new(0, files)], hostile),
        |directory, _| {
            let (store, experiment) = Store::open(directory).map_err(|error| error.to_string())?;
            let results = store.results(&experiment).map_err(|error| error.to_string())?;
            Ok(Report::new(vec![(experiment, results)]))
        },
        |report| {
            report.text();
            report.markdown();
            let directory = tempfile::tempdir().unwrap();
            report.write(directory.path()).unwrap();
        },
    );
}
