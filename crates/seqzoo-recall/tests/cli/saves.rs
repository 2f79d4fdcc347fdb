//! What is written is whole or what it was before: on a full disk, under a kill, and with several writers at once.
#![cfg(unix)]

use super::tool::Workplace;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A finished experiment in `out`.
fn finished() -> Workplace {
    let workplace = Workplace::new(5);
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "out"]).code, Some(0));
    workplace
}

/// The files of the report in `out`, which are the same at every report on the same results.
fn report(workplace: &Workplace) -> BTreeMap<String, String> {
    let names = ["report.md", "report.html", "accuracy_against_state.svg"];
    names.map(|name| (name.to_string(), workplace.read(&format!("out/{name}")))).into()
}

/// What lies in `out` beside what belongs there.
fn left_behind(workplace: &Workplace) -> Vec<String> {
    let entries = std::fs::read_dir(workplace.path("out")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".partial")).collect()
}

#[test]
fn a_full_disk_leaves_every_file_of_a_report_whole() {
    let workplace = finished();
    let new = report(&workplace);
    let mut refused = 0;
    for blocks in (0..).map(|step| step * step / 2) {
        for name in new.keys() {
            workplace.write(&format!("out/{name}"), "the old one");
        }
        let said = workplace.recall_with_files_of(blocks, &["report", "out"]);
        for (name, found) in report(&workplace) {
            assert!(found == "the old one" || found == new[&name], "{name} with {blocks} blocks:\n{found}");
        }
        assert_eq!(left_behind(&workplace), Vec::<String>::new());
        if said.code == Some(0) {
            break;
        }
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains("large"), "{}", said.err);
        refused += 1;
    }
    assert!(refused > 3, "{refused}");
    assert_eq!(report(&workplace), new);
}

#[test]
fn a_killed_report_leaves_every_file_whole() {
    let workplace = finished();
    let new = report(&workplace);
    for delay in 0..30 {
        let mut child = workplace.start(&["report", "out"]);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(report(&workplace), new);
    }
}

#[test]
fn several_reports_on_one_directory_are_one_report() {
    let workplace = finished();
    let new = report(&workplace);
    let end = Instant::now() + Duration::from_secs(3);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < end {
                    let said = workplace.recall(&["report", "out"]);
                    assert_eq!(said.code, Some(0), "{}", said.err);
                }
            });
        }
        while Instant::now() < end {
            assert_eq!(report(&workplace), new);
        }
    });
    assert_eq!(left_behind(&workplace), Vec::<String>::new());
}

#[test]
fn a_run_goes_on_once_the_disk_has_room_again() {
    let workplace = Workplace::new(60);
    // Room for the configurations, and not for a checkpoint.
    let said = workplace.recall_with_files_of(8, &["run", "small.toml", "--out", "out"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("training.safetensors"), "{}", said.err);
    let said = workplace.recall(&["run", "small.toml", "--out", "out", "--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "whole"]).code, Some(0));
    assert_eq!(workplace.results("out"), workplace.results("whole"));
}
