//! An example is a function of its coordinates: seed, split, segment, index.

use seqzoo_recall::experiment::{Experiment, SHIPPED};
use seqzoo_recall::task::{Coordinates, Split, Task};

/// The task with its first segments of training and tests `count` times, and no others.
fn repeated(task: &Task, count: usize) -> Task {
    let mut data = serde_json::to_value(task).unwrap();
    for split in ["train", "test"] {
        let tests = &mut data[split];
        let segments = if tests.is_array() { tests } else { &mut tests["lengths"] };
        let first = segments[0].clone();
        *segments = vec![first; count].into();
    }
    serde_json::from_value(data).unwrap()
}

/// Asserts that an example is the same every time and whatever other segments there are, and another one wherever any of
/// its coordinates differs, also in a segment that is the same.
pub fn assert_depends_on_coordinates_alone(task: &Task) {
    let twice = repeated(task, 2);
    let base = Coordinates { seed: 7, split: Split::Test, segment: 0, index: 5 };
    let example = twice.example(base);
    assert_eq!(example, twice.example(base), "{task:?}");
    assert_eq!(example, repeated(task, 1).example(base), "{task:?}");
    assert_eq!(example, task.example(base), "{task:?}");
    for other in [
        Coordinates { seed: 8, ..base },
        Coordinates { split: Split::Train, ..base },
        Coordinates { segment: 1, ..base },
        Coordinates { index: 6, ..base },
    ] {
        assert_ne!(example.tokens, twice.example(other).tokens, "{task:?} at {other:?}");
    }
}

#[test]
fn in_every_shipped_task_an_example_depends_on_its_coordinates_alone() {
    for shipped in SHIPPED {
        assert_depends_on_coordinates_alone(&Experiment::shipped(shipped.name).unwrap().unwrap().task);
    }
}
