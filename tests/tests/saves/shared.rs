//! Several writers and readers on one path.

use super::kinds::Kind;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(10);

/// Eight threads save one of two versions each, and eight load: no save fails, and every load finds one of the two.
fn share(kind: Kind) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("place");
    kind.save(0, &path).unwrap();
    let versions = [kind.contents(0), kind.contents(1)];
    let (saves, loads) = (AtomicUsize::new(0), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let end = Instant::now() + TIME;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (path, saves, loads, versions) = (&path, &saves, &loads, &versions);
            scope.spawn(move || {
                while Instant::now() < end {
                    kind.save(thread % 2, path).unwrap();
                    saves.fetch_add(1, Relaxed);
                }
            });
            scope.spawn(move || {
                while Instant::now() < end {
                    let found = kind.load(path).unwrap();
                    let version = versions.iter().position(|version| *version == found);
                    loads[version.expect("a whole version")].fetch_add(1, Relaxed);
                }
            });
        }
    });
    let loads = loads.map(AtomicUsize::into_inner);
    eprintln!("{kind:?}: {} saves, {loads:?} loads", saves.into_inner());
    assert!(loads.iter().all(|count| *count > 0), "both versions are seen: {loads:?}");
    let left = walk(directory.path());
    assert!(left.iter().all(|name| !name.contains(".partial")), "{left:?}");
}

fn walk(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.display().to_string()] })
        .collect()
}

#[test]
fn a_state() {
    share(Kind::State);
}

#[test]
fn a_model() {
    share(Kind::Model);
}

#[test]
fn a_training() {
    share(Kind::Training);
}
