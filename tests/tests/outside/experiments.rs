//! Experiments as TOML.

use crate::documents::{Document, File, spoilt};
use crate::hostile::{Syntax, changed, damaged, random};
use crate::trial::any_document_is_read_or_refused;
use proptest::prelude::*;
use seqzoo_recall::experiment::{Experiment, SHIPPED, runs};
use seqzoo_recall::task::Split;

const FILE: &str = "mine.toml";

fn hostile(file: File, others: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let tree = toml::from_str(std::str::from_utf8(&file.bytes).unwrap()).unwrap();
    prop_oneof![
        1 => random(),
        3 => damaged(file.bytes, others),
        10 => changed(tree, Syntax::Toml)
    ]
}

#[test]
fn any_file_is_an_experiment_or_an_error() {
    let valid =
        SHIPPED.iter().map(|shipped| Document::new(0, [(FILE.to_string(), shipped.text.into())])).collect();
    any_document_is_read_or_refused(
        spoilt(valid, hostile),
        |directory, _| Experiment::read(&directory.join(FILE)).map_err(|error| error.to_string()),
        |experiment| {
            // What can be run has keys, and says what it asks.
            for run in runs(&experiment).iter().take(20) {
                run.key();
            }
            for split in [Split::Train, Split::Test] {
                for (slice, _) in experiment.task.segments(split) {
                    experiment.task.chance(slice);
                }
            }
            // What was read can be written and read again.
            let text = serde_json::to_string(&experiment).unwrap();
            let again: Experiment = serde_json::from_str(&text).unwrap();
            again.check().unwrap();
        },
    );
}
