//! Multi-query associative recall where keys are bound again: the last value counts.

use seqzoo_recall::experiment::{DataLaw, Experiment};
use seqzoo_recall::task::{Coordinates, Example, Filler, Mqar, MqarSegment, Slice, Split, Task};
use std::collections::{HashMap, HashSet};

fn segment(length: usize, pairs: usize, updates: usize) -> MqarSegment {
    MqarSegment { length, pairs, updates, examples: 100 }
}

fn task(vocab_size: usize, filler: Filler, segments: &[MqarSegment]) -> Task {
    Task::Mqar(Mqar {
        vocab_size,
        filler,
        shuffle_queries: true,
        power_a: 0.01,
        train: segments.to_vec(),
        test: segments.to_vec(),
    })
}

fn at(split: Split, segment: usize, index: u64) -> Coordinates {
    Coordinates { seed: 7, split, segment: segment as u64, index }
}

/// A key and its value.
type Pair = (u32, u32);

/// The pairs of the context, and those that follow to bind keys again.
fn context(example: &Example, pairs: usize, updates: usize) -> (Vec<Pair>, Vec<Pair>) {
    let told = example.tokens[..2 * (pairs + updates)].chunks(2).map(|pair| (pair[0], pair[1]));
    let told: Vec<_> = told.collect();
    let (first, later) = told.split_at(pairs);
    (first.to_vec(), later.to_vec())
}

#[test]
fn the_answer_is_the_last_value_of_the_key() {
    let shipped = Experiment::shipped("forgetting").unwrap().unwrap().task;
    let tight = [segment(16, 4, 0), segment(18, 4, 1), segment(24, 4, 4), segment(64, 4, 2)];
    for (task, vocab_size) in [
        (shipped, 256),
        (task(16, Filler::Zero, &tight), 16),
        (task(17, Filler::Uniform, &tight), 17),
        (task(16, Filler::Reserved(3), &tight), 16),
    ] {
        let half = vocab_size / 2;
        for split in [Split::Train, Split::Test] {
            for (segment, (slice, _)) in task.segments(split).into_iter().enumerate() {
                let (pairs, updates) = (slice.pairs.unwrap(), slice.updates.unwrap_or(0));
                for index in 0..300 {
                    let example = task.example(at(split, segment, index));
                    assert_eq!((example.tokens.len(), example.question), (slice.length, None));
                    let (first, later) = context(&example, pairs, updates);
                    let all = first.iter().chain(&later);
                    let values: HashSet<u32> = all.clone().map(|(_, value)| *value).collect();
                    assert_eq!(values.len(), pairs + updates, "every value is told once: {example:?}");
                    assert!(values.iter().all(|value| (half..vocab_size).contains(value)));
                    let keys: HashSet<u32> = first.iter().map(|(key, _)| *key).collect();
                    assert_eq!(keys.len(), pairs);
                    assert!(keys.iter().all(|key| (1..half).contains(key)));
                    let updated: HashSet<u32> = later.iter().map(|(key, _)| *key).collect();
                    assert_eq!(updated.len(), updates, "no key is bound three times: {example:?}");
                    assert!(updated.is_subset(&keys));

                    let last: HashMap<u32, u32> = all.copied().collect();
                    let mut asked = HashSet::new();
                    for (position, answer) in &example.answers {
                        assert!(*position >= 2 * (pairs + updates) && position.is_multiple_of(2));
                        assert_eq!(last[&example.tokens[*position]], *answer);
                        asked.insert(example.tokens[*position]);
                    }
                    assert_eq!((asked, example.answers.len()), (keys, pairs), "every key is asked once");
                }
            }
        }
    }
}

#[test]
fn reserved_filler_is_never_a_key_or_value() {
    let task = task(32, Filler::Reserved(8), &[segment(64, 8, 4)]);
    assert_eq!(task.vocabulary(), 40);
    for index in 0..200 {
        let example = task.example(at(Split::Test, 0, index));
        for (position, token) in example.tokens.iter().enumerate().skip(24) {
            let asked = example.answers.iter().any(|(each, _)| *each == position);
            assert_eq!((32..40).contains(token), !asked);
        }
    }
}

#[test]
fn guessing_pays_what_is_said() {
    const EXAMPLES: u64 = 4000;
    let task = task(32, Filler::Reserved(8), &[segment(64, 8, 4)]);
    let mut answers = [0.0_f64; 16];
    let mut updated = [0.0_f64; 8];
    let (mut of_the_context, mut of_the_pairs) = (0.0, 0.0);
    for index in 0..EXAMPLES {
        let example = task.example(at(Split::Test, 0, index));
        let (first, later) = context(&example, 8, 4);
        let pairs: HashMap<u32, u32> = first.iter().copied().collect();
        let (_, guess) = later[(index % 4) as usize];
        for (position, answer) in &example.answers {
            answers[*answer as usize - 16] += 1.0;
            of_the_context += f64::from(u8::from(*answer == guess));
            of_the_pairs += f64::from(u8::from(*answer == pairs[&example.tokens[*position]]));
        }
        for (key, _) in later {
            updated[first.iter().position(|(each, _)| *each == key).unwrap()] += 1.0;
        }
    }
    // Five standard deviations of counts of mean 2000.
    for count in answers.into_iter().chain(updated) {
        assert!((count - 2000.0).abs() < 220.0, "{count}");
    }
    let all = (8 * EXAMPLES) as f64;
    let [(_, any), (_, told), (name, ignoring)] =
        task.chance(Slice { pairs: Some(8), updates: Some(4), ..Slice::of_length(64) })[..]
    else {
        panic!("three levels")
    };
    assert_eq!((any, told), (1.0 / 16.0, of_the_context / all));
    assert_eq!((name, ignoring), ("ignoring the updates", of_the_pairs / all));
}

#[test]
fn slices_without_updates_lose_nothing_by_ignoring_them() {
    let mixed = task(32, Filler::Zero, &[segment(64, 8, 0), segment(64, 8, 2)]);
    let levels: Vec<Vec<_>> =
        mixed.segments(Split::Test).iter().map(|(slice, _)| mixed.chance(*slice)).collect();
    assert_eq!([levels[0][2].1, levels[1][2].1], [1.0, 0.75]);
    let plain = task(32, Filler::Zero, &[segment(64, 8, 0)]);
    assert_eq!(plain.chance(plain.segments(Split::Test)[0].0).len(), 2);
}

#[test]
fn a_segment_without_updates_is_written_and_read_as_before_there_were_any() {
    let written = r#"{"length":64,"pairs":8,"examples":100}"#;
    let plain: MqarSegment = serde_json::from_str(written).unwrap();
    assert_eq!(plain, segment(64, 8, 0));
    assert_eq!(serde_json::to_string(&plain).unwrap(), written);
    let forgetting = r#"{"length":64,"pairs":8,"updates":4,"examples":100}"#;
    assert_eq!(serde_json::to_string(&segment(64, 8, 4)).unwrap(), forgetting);
    let (slice, _) = task(64, Filler::Zero, &[segment(64, 8, 4)]).segments(Split::Test)[0];
    assert_eq!(serde_json::to_string(&slice).unwrap(), r#"{"length":64,"pairs":8,"updates":4}"#);
    assert_eq!(slice.to_string(), "8 pairs in 64, 4 updates");
}

#[test]
fn the_picture_shows_the_updates() {
    let task = task(16, Filler::Reserved(4), &[segment(64, 2, 0), segment(12, 2, 1)]);
    let mut example = Example {
        tokens: vec![1, 9, 2, 10, 2, 11, 2, 17, 16, 18, 1, 19],
        answers: vec![(6, 11), (10, 9)],
        question: None,
    };
    let picture = "  remember  k1 v9 k2 v10\n  update    k2 v11\n  answer    k2→v11 · · · k1→v9 ·\n";
    assert_eq!(task.picture(&example), picture);
    // Filler after the pairs: nothing is bound again.
    example.tokens = vec![1, 9, 2, 10, 16, 17, 2, 17, 16, 18, 1, 19];
    example.answers = vec![(6, 10), (10, 9)];
    let picture = "  remember  k1 v9 k2 v10\n  answer    · · k2→v10 · · · k1→v9 ·\n";
    assert_eq!(task.picture(&example), picture);
}

#[test]
fn it_is_not_the_published_law() {
    assert_eq!(Experiment::shipped("forgetting").unwrap().unwrap().data_law(), DataLaw::Clean);
    let mut paper = Experiment::shipped("paper").unwrap().unwrap();
    let Task::Mqar(task) = &mut paper.task else { panic!("{:?}", paper.task) };
    task.test[0].updates = 1;
    assert_eq!(paper.data_law(), DataLaw::Custom);
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    let check = |vocab_size, segment| task(vocab_size, Filler::Zero, &[segment]).check();
    assert!(check(64, segment(40, 8, 4)).is_ok());
    assert!(check(18, segment(64, 4, 4)).is_ok());
    let refused = |vocab_size, segment, sentence: &str| {
        let problem = check(vocab_size, segment).unwrap_err();
        assert!(problem.contains(sentence), "{problem}");
    };
    refused(
        64,
        segment(38, 8, 4),
        "4 updates take 2 tokens each, but beside pairs and queries there is room for 6",
    );
    refused(64, segment(64, 8, 9), "updates = 9, but there are only 8 keys to bind again");
    refused(64, segment(64, 8, usize::MAX), "but there are only 8 keys to bind again");
    refused(
        20,
        segment(64, 8, 3),
        "3 updates want values of their own, but vocab_size = 20 gives only 10 values",
    );
    refused(64, segment(64, 0, 0), "at least 4 tokens per pair");
}
