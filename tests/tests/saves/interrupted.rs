//! A save that ends at any of its steps leaves the old or the new, whole.

use super::kinds::{KINDS, Kind};
use seqzoo::testing::{Interruption, interrupted};
use std::path::Path;
use std::process::Command;

const JOB: &str = "SEQZOO_INTERRUPTED_SAVE";

/// What is at `path` must be the old version or the new one; which of them it is.
#[track_caller]
fn is_new(kind: Kind, path: &Path, step: usize) -> bool {
    let found = kind.load(path).unwrap_or_else(|error| panic!("{kind:?}, step {step}: {error}"));
    if found == kind.contents(1) {
        return true;
    }
    assert_eq!(found, kind.contents(0), "{kind:?}, step {step}");
    false
}

/// Everything below `directory` that is not in its place.
fn left_behind(directory: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            left.extend(left_behind(&entry.path()));
        } else if name.starts_with('.') {
            left.push(name);
        }
    }
    left
}

#[test]
fn a_full_disk_at_every_step() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/place");
        std::fs::create_dir(directory.path().join("a")).unwrap();
        let mut outcomes = Vec::new();
        for step in 0.. {
            kind.save(0, &path).unwrap();
            let (saved, came_so_far) = interrupted(step, Interruption::FullDisk, || kind.save(1, &path));
            assert_eq!(left_behind(directory.path()), Vec::<String>::new());
            let new = is_new(kind, &path, step);
            if !came_so_far {
                assert!(saved.is_ok() && new);
                break;
            }
            let error = saved.unwrap_err();
            assert!(error.contains("place"), "{error}");
            outcomes.push(new);
        }
        assert!(outcomes.len() >= 4 && !outcomes[0] && outcomes.is_sorted(), "{kind:?}: {outcomes:?}");
    }
}

#[test]
fn a_kill_at_every_step() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("place");
        let mut outcomes = Vec::new();
        for step in 0.. {
            kind.save(0, &path).unwrap();
            let program = std::env::current_exe().unwrap();
            let output = Command::new(program)
                .args(["interrupted::the_process_that_is_killed", "--exact", "--nocapture"])
                .env(JOB, format!("{kind:?} {step} {}", path.display()))
                .output()
                .unwrap();
            let new = is_new(kind, &path, step);
            if output.status.success() {
                assert!(new);
                break;
            }
            outcomes.push(new);
        }
        assert!(outcomes.len() >= 4 && !outcomes[0] && outcomes.is_sorted(), "{kind:?}: {outcomes:?}");
        kind.save(0, &path).unwrap();
        assert_eq!(kind.load(&path), Ok(kind.contents(0)));
    }
}

/// A `config.json` from before saves had names must not be taken for that of new weights.
#[test]
fn a_full_disk_over_a_model_without_the_name_of_its_save() {
    let kind = Kind::Model;
    let directory = tempfile::tempdir().unwrap();
    let (path, config) = (directory.path().join("place"), directory.path().join("place/config.json"));
    for step in 0.. {
        kind.save(0, &path).unwrap();
        let text = std::fs::read_to_string(&config).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"save\"")).collect();
        std::fs::write(&config, lines.join("\n").replace(",\n}", "\n}")).unwrap();
        assert!(!is_new(kind, &path, step));
        let (_, came_so_far) = interrupted(step, Interruption::FullDisk, || kind.save(1, &path));
        let new = is_new(kind, &path, step);
        if !came_so_far {
            assert!(new);
            break;
        }
    }
}

/// The process that [`a_kill_at_every_step`] starts; it does nothing in a test of its own.
#[test]
fn the_process_that_is_killed() {
    let Ok(job) = std::env::var(JOB) else { return };
    let mut words = job.splitn(3, ' ');
    let (kind, step, path) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
    let kind = KINDS.into_iter().find(|each| format!("{each:?}") == kind).unwrap();
    let step = step.parse().unwrap();
    interrupted(step, Interruption::Kill, || kind.save(1, Path::new(path))).0.unwrap();
}

/// The writers of Burn and of safetensors make no steps; the system's limit on the size of files stops them too.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_grow() {
    for kind in KINDS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("place");
        kind.save(0, &path).unwrap();
        let mut failed = 0;
        for blocks in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 610] {
            let program = std::env::current_exe().unwrap();
            let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            let output = Command::new("sh")
                .args(["-c", &limited, program.to_str().unwrap()])
                .args(["interrupted::the_process_that_is_killed", "--exact"])
                .env(JOB, format!("{kind:?} 1000 {}", path.display()))
                .output()
                .unwrap();
            let new = is_new(kind, &path, blocks);
            assert_eq!(left_behind(directory.path()), Vec::<String>::new());
            assert!(new || !output.status.success());
            failed += usize::from(!output.status.success());
        }
        assert!((1..13).contains(&failed), "{kind:?}: {failed}");
    }
}
