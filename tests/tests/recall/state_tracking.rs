//! State tracking: labels against products of matrices, balance, and what is asked.

use seqzoo_recall::task::{
    Coordinates, Example, Generators, Group, LengthSegment, Slice, Split, StateTracking, Task,
};

const GROUPS: [(Group, Generators); 5] = [
    (Group::Parity, Generators::All),
    (Group::S3, Generators::All),
    (Group::S3, Generators::Swaps),
    (Group::S5, Generators::All),
    (Group::S5, Generators::Swaps),
];

fn task(group: Group, generators: Generators, length: usize) -> Task {
    let segment = |examples| vec![LengthSegment { length, examples }];
    Task::StateTracking(StateTracking { group, generators, train: segment(0), test: segment(100) })
}

fn example(task: &Task, split: Split, index: u64) -> Example {
    task.example(Coordinates { seed: 7, split, segment: 0, index })
}

/// The matrix that moves the unit vector of each point to that of its image.
fn matrix(group: Group, element: u32) -> Vec<Vec<i32>> {
    let images: Vec<usize> = match (group, element) {
        (Group::Parity, 0) => vec![0, 1],
        (Group::Parity, _) => vec![1, 0],
        _ => group.name(element).chars().map(|digit| digit.to_digit(10).unwrap() as usize - 1).collect(),
    };
    let row = |row: usize| images.iter().map(|image| i32::from(*image == row)).collect();
    (0..images.len()).map(row).collect()
}

fn product(left: &[Vec<i32>], right: &[Vec<i32>]) -> Vec<Vec<i32>> {
    let entry = |row: &[i32], column: usize| row.iter().zip(right).map(|(a, b)| a * b[column]).sum();
    left.iter().map(|row| (0..row.len()).map(|column| entry(row, column)).collect()).collect()
}

#[test]
fn labels_are_products_of_matrices_with_the_newest_token_on_the_left() {
    for (group, generators) in GROUPS {
        let task = task(group, generators, 24);
        for index in 0..50 {
            let example = example(&task, Split::Train, index);
            assert_eq!(example.answers.len(), 24, "training asks everywhere");
            let mut state = matrix(group, 0);
            for (position, answer) in &example.answers {
                state = product(&matrix(group, example.tokens[*position]), &state);
                assert_eq!(state, matrix(group, *answer), "{group:?}, {generators:?} at {position}");
            }
        }
    }
}

#[test]
fn the_state_of_parity_is_the_number_of_ones_modulo_two() {
    let task = task(Group::Parity, Generators::All, 40);
    for index in 0..200 {
        let example = example(&task, Split::Train, index);
        let mut ones = 0;
        for (position, answer) in example.answers {
            ones += example.tokens[position];
            assert_eq!(answer, ones % 2);
        }
    }
}

#[test]
fn every_answer_is_asked_equally_often_so_that_guessing_pays_nothing_more() {
    for (group, generators) in &GROUPS[..3] {
        let task = task(*group, *generators, 40);
        let mut counts = vec![0.0; group.order()];
        for index in 0..2000 {
            for (_, answer) in example(&task, Split::Test, index).answers {
                counts[answer as usize] += 1.0;
            }
        }
        let share = 1.0 / group.order() as f64;
        let (_, chance) = task.chance(Slice::of_length(40))[0];
        assert_eq!(chance, share);
        for count in counts {
            // The answers of one example depend on each other, hence room for a few deviations more.
            assert!((count / 20_000.0 - share).abs() < 0.02, "{group:?}, {generators:?}: {count}");
        }
    }
}

#[test]
fn tests_ask_at_the_last_quarter() {
    for (length, first) in [(4, 3), (40, 30), (41, 31), (43, 33), (256, 192)] {
        let task = task(Group::S3, Generators::All, length);
        let asked: Vec<usize> =
            example(&task, Split::Test, 0).answers.into_iter().map(|(position, _)| position).collect();
        assert_eq!(asked, (first..length).collect::<Vec<_>>());
    }
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    assert!(task(Group::S3, Generators::All, 3).check().unwrap_err().contains("at least 4 tokens"));
    assert!(task(Group::Parity, Generators::Swaps, 40).check().unwrap_err().contains("leave `generators`"));
    let refused = |change: fn(&mut StateTracking)| {
        let Task::StateTracking(mut task) = task(Group::S3, Generators::All, 40) else { unreachable!() };
        change(&mut task);
        Task::StateTracking(task).check().unwrap_err()
    };
    assert!(refused(|task| task.train.clear()).contains("there is no train segment"));
    assert!(refused(|task| task.test.clear()).contains("there is no test segment"));
    assert!(refused(|task| task.test[0].examples = 0).contains("no `examples`"));
}

#[test]
fn slices_read_what_was_written_before_there_were_slices_without_pairs() {
    let with = r#"{"length":64,"pairs":16}"#;
    let slice: Slice = serde_json::from_str(with).unwrap();
    assert_eq!(
        (slice, slice.to_string()),
        (Slice { pairs: Some(16), ..Slice::of_length(64) }, "16 pairs in 64".into())
    );
    assert_eq!(serde_json::to_string(&slice).unwrap(), with);
    let without = Slice::of_length(128);
    assert_eq!(serde_json::to_string(&without).unwrap(), r#"{"length":128}"#);
    assert_eq!(without.to_string(), "length 128");
}
