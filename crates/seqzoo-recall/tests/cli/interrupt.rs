//! A run that is stopped at any moment continues to the same result.

use super::tool::{CHECKPOINT, Workplace};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const STEPS: usize = 500;

/// Waits until the run in `out` has written a complete checkpoint.
pub fn wait_for_checkpoint(out: &Path) {
    for _ in 0..2000 {
        let runs = std::fs::read_dir(out.join("runs")).into_iter().flatten().flatten();
        if runs.map(|run| run.path().join(CHECKPOINT)).any(|checkpoint| checkpoint.exists()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no checkpoint was written");
}

fn finished_results(workplace: &Workplace) -> Vec<seqzoo_recall::results::RunResult> {
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "whole"]).code, Some(0));
    workplace.results("whole")
}

#[cfg(unix)]
#[test]
fn after_ctrl_c_resume_gives_the_same_results() {
    let workplace = Workplace::new(STEPS);
    let mut child = workplace.start(&["run", "small.toml", "--out", "out"]);
    wait_for_checkpoint(&workplace.path("out"));
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!workplace.path("out/results.jsonl").exists());

    let said = workplace.recall(&["run", "small.toml", "--out", "out", "--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("continued from step"), "{}", said.err);
    assert_eq!(workplace.results("out"), finished_results(&workplace));
}

/// Results in the files of the runs themselves, without times.
fn kept(workplace: &Workplace, out: &str) -> Vec<String> {
    let mut kept: Vec<String> = std::fs::read_dir(workplace.path(out).join("runs"))
        .unwrap()
        .map(|run| std::fs::read_to_string(run.unwrap().path().join("result.json")).unwrap())
        .map(|text| {
            let timeless = |line: &&str| !["second", "machine"].iter().any(|word| line.contains(word));
            text.lines().filter(timeless).collect::<Vec<_>>().join("\n")
        })
        .collect();
    kept.sort();
    kept
}

#[cfg(unix)]
#[test]
fn the_large_experiments_start_and_resume() {
    for name in ["small", "paper"] {
        let workplace = Workplace::new(5);
        let mut child = workplace.start(&["run", name, "--out", "out"]);
        let runs = workplace.path("out/runs");
        let started = || std::fs::read_dir(&runs).is_ok_and(|mut entries| entries.next().is_some());
        while !started() {
            assert!(child.try_wait().unwrap().is_none(), "{name} starts a run");
            std::thread::sleep(Duration::from_millis(20));
        }
        let stop = |id: u32| Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
        assert!(stop(child.id()).success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name} stops after its step");
        wait_for_checkpoint(&workplace.path("out"));

        let (mut child, lines) = workplace.start_and_listen(&["run", name, "--out", "out", "--resume"]);
        let continued = lines.take(3).any(|line| line.contains("continued from step"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(continued, "{name} goes on where it stopped");
    }
}

#[test]
fn after_being_killed_resume_gives_the_same_results() {
    let workplace = Workplace::new(STEPS);
    for attempt in 0..3 {
        let resume: &[&str] = if attempt == 0 { &[] } else { &["--resume"] };
        let mut child = workplace.start(&[&["run", "small.toml", "--out", "out"], resume].concat());
        wait_for_checkpoint(&workplace.path("out"));
        std::thread::sleep(Duration::from_millis(137 * attempt));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the run was to be killed before its end");
    }
    let said = workplace.recall(&["run", "small.toml", "--out", "out", "--resume"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(workplace.results("out"), finished_results(&workplace));
    assert_eq!(kept(&workplace, "out"), kept(&workplace, "whole"), "to the last digit");
}
