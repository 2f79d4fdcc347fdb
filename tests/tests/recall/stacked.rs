//! Stacked MQAR: its tokens, read without knowing how they were made, and its embedding.

use seqzoo_recall::experiment::Experiment;
use seqzoo_recall::task::{Coordinates, Example, Split, StackedMqar, StackedSegment, Task};
use std::collections::{BTreeMap, BTreeSet};

const KEYS: usize = 9;
const VALUES: usize = 7;

fn stacked(passes: usize, pairs: &[usize]) -> StackedMqar {
    let train = pairs.iter().map(|pairs| StackedSegment { pairs: *pairs, examples: 0 }).collect();
    let test = pairs.iter().map(|pairs| StackedSegment { pairs: *pairs, examples: 10 }).collect();
    StackedMqar { keys: KEYS, values: VALUES, passes, train, test }
}

/// The key and the value of a token, as the numbering tells it.
fn halves(token: u32) -> (Option<usize>, Option<usize>) {
    match token as usize {
        value if value < VALUES => (None, Some(value)),
        key if key < VALUES + KEYS => (Some(key - VALUES), None),
        pair => (Some((pair - VALUES - KEYS) / VALUES), Some((pair - VALUES - KEYS) % VALUES)),
    }
}

/// The passes over the pairs, and the keys that are asked for.
fn read(example: &Example, pairs: usize) -> (Vec<Vec<(usize, usize)>>, Vec<usize>) {
    let (told, asked) = example.tokens.split_at(example.tokens.len() - pairs);
    let told: Vec<(usize, usize)> = told
        .iter()
        .map(|token| match halves(*token) {
            (Some(key), Some(value)) => (key, value),
            other => panic!("{other:?} among the pairs"),
        })
        .collect();
    let asked = asked.iter().map(|token| match halves(*token) {
        (Some(key), None) => key,
        other => panic!("{other:?} among the queries"),
    });
    (told.chunks(pairs).map(<[_]>::to_vec).collect(), asked.collect())
}

#[test]
fn the_answers_are_what_the_pairs_say() {
    for passes in [1, 3] {
        let sizes = [1, 4, 7];
        let task = Task::StackedMqar(stacked(passes, &sizes));
        task.check().unwrap();
        assert_eq!(task.vocabulary(), VALUES + KEYS + VALUES * KEYS);
        assert_eq!((task.answer_tokens(), task.whole()), (Some(VALUES), false));
        for split in [Split::Train, Split::Test] {
            for (segment, (slice, _)) in task.segments(split).into_iter().enumerate() {
                let pairs = sizes[segment];
                assert_eq!((slice.pairs, slice.length), (Some(pairs), (passes + 1) * pairs));
                for index in 0..200 {
                    let at = Coordinates { seed: 3, split, segment: segment as u64, index };
                    let example = task.example(at);
                    assert_eq!(example.tokens.len(), slice.length);
                    assert!(example.tokens.iter().all(|token| (*token as usize) < task.vocabulary()));
                    let (told, asked) = read(&example, pairs);
                    let bound: BTreeMap<usize, usize> = told[0].iter().copied().collect();
                    assert_eq!(bound.len(), pairs, "keys are distinct: {told:?}");
                    assert_eq!(bound.values().collect::<BTreeSet<_>>().len(), pairs, "and values");
                    for pass in &told {
                        assert!(pass.iter().copied().collect::<BTreeMap<_, _>>() == bound);
                    }
                    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), pairs, "all are asked for");
                    let question = passes * pairs;
                    let wanted = asked.iter().enumerate();
                    let wanted = wanted.map(|(index, key)| (question + index, bound[key] as u32));
                    assert!(example.answers.iter().copied().eq(wanted), "{at:?}");
                    assert_eq!(example.question, Some(question));
                }
            }
        }
    }
}

#[test]
fn every_pass_and_the_queries_come_in_an_order_of_their_own() {
    let pairs = 5;
    let task = Task::StackedMqar(stacked(2, &[pairs]));
    // How often the first pair of a pass is at each place of the other pass, and among the queries; all keys and
    // values.
    let (mut again, mut queried) = (vec![0; pairs], vec![0; pairs]);
    let (mut keys, mut values) = (vec![0; KEYS], vec![0; VALUES]);
    for index in 0..5000 {
        let at = Coordinates { seed: 3, split: Split::Train, segment: 0, index };
        let (told, asked) = read(&task.example(at), pairs);
        let first = told[0][0];
        again[told[1].iter().position(|pair| *pair == first).unwrap()] += 1;
        queried[asked.iter().position(|key| *key == first.0).unwrap()] += 1;
        for (key, value) in &told[0] {
            keys[*key] += 1;
            values[*value] += 1;
        }
    }
    for (counts, total) in [(again, 5000), (queried, 5000), (keys, 25_000), (values, 25_000)] {
        let even = f64::from(total) / counts.len() as f64;
        for count in &counts {
            assert!((f64::from(*count) - even).abs() < 5.0 * even.sqrt(), "{counts:?}");
        }
    }
}

#[test]
fn the_embedding_has_unit_halves_that_the_seed_alone_decides() {
    let task = Task::StackedMqar(stacked(1, &[4]));
    let width = 32;
    let table = task.embedding(width, 5).unwrap();
    assert_eq!(table.len(), task.vocabulary() * width);
    let rows: Vec<(&[f32], &[f32])> = table.chunks(width).map(|row| row.split_at(width / 2)).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (token, (key, value)) in rows.iter().enumerate() {
        let (k, v) = halves(token as u32);
        for (half, there) in [(key, k.is_some()), (value, v.is_some())] {
            let length = dot(half, half).sqrt();
            assert!(if there { (length - 1.0).abs() < 1e-6 } else { length == 0.0 }, "{token}: {length}");
        }
        if let (Some(k), Some(v)) = (k, v) {
            assert_eq!((*key, *value), (rows[VALUES + k].0, rows[v].1), "a pair is its key and its value");
        }
    }
    for a in 0..VALUES + KEYS {
        let vector = |token: usize| if token < VALUES { rows[token].1 } else { rows[token].0 };
        for b in 0..a {
            assert!(dot(vector(a), vector(b)) < 0.9, "{a} and {b} have the same vector");
        }
    }

    assert_eq!(task.embedding(width, 5), Some(table.clone()));
    let other = Task::StackedMqar(stacked(3, &[2, 6]));
    assert_eq!(other.embedding(width, 5), Some(table.clone()), "whatever the examples are");
    assert_ne!(task.embedding(width, 6), Some(table));
    let quick = Experiment::shipped("quick").unwrap().unwrap().task;
    assert_eq!((quick.embedding(width, 5), quick.answer_tokens()), (None, None));
}

#[test]
fn the_vectors_are_uniform_on_the_sphere() {
    let task = Task::StackedMqar(StackedMqar { keys: 1000, values: 2, ..stacked(1, &[2]) });
    let width = 8;
    let table = task.embedding(width, 0).unwrap();
    let keys = || table.chunks(width).skip(2).take(1000).map(|row| &row[..width / 2]);
    for channel in 0..width / 2 {
        let mean = |power| keys().map(|key| f64::from(key[channel]).powi(power)).sum::<f64>() / 1000.0;
        // On the sphere of 4 dimensions a coordinate has the moments 0, 1/4 and 1/8.
        for (power, moment, deviation) in [(1, 0.0, 0.5), (2, 0.25, 0.25), (4, 0.125, 0.2)] {
            let gap = (mean(power) - moment).abs();
            assert!(gap < 5.0 * deviation / 1000f64.sqrt(), "channel {channel}, power {power}: {gap}");
        }
        for other in 0..channel {
            let product = keys().map(|key| f64::from(key[channel] * key[other])).sum::<f64>() / 1000.0;
            assert!(product.abs() < 5.0 * 0.21 / 1000f64.sqrt(), "{channel} and {other}: {product}");
        }
    }
}

#[test]
fn the_picture_names_pairs_and_answers() {
    let task = Task::StackedMqar(stacked(1, &[2]));
    let example =
        Example { tokens: vec![16, 16 + 7 + 3, 8, 7], answers: vec![(2, 3), (3, 0)], question: Some(2) };
    assert_eq!(task.picture(&example), "  remember  k0:v0 k1:v3\n  answer    k1→v3 k0→v0\n");
}

/// A mistake, and what is said about it.
type Change<'a> = (&'a dyn Fn(&mut StackedMqar), &'a str);

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |change: &dyn Fn(&mut StackedMqar)| {
        let mut task = stacked(1, &[4]);
        change(&mut task);
        Task::StackedMqar(task).check().unwrap_err()
    };
    let changes: [Change<'_>; 12] = [
        (&|task| task.keys = 3, "the train segment of 4 pairs"),
        (&|task| task.values = 3, "keys = 9 and values = 3"),
        (&|task| task.test[0].pairs = 0, "the test segment of 0 pairs: at least 1 is wanted"),
        (&|task| task.keys = 0, "keys = 0"),
        (&|task| task.values = 1, "fewer than 2 values tell nothing"),
        (&|task| task.passes = 0, "passes = 0, but 1 to"),
        (&|task| task.passes = usize::MAX, "but at most 16777216 tokens are wanted"),
        (&|task| task.train[0].pairs = usize::MAX, "but at most 16777216 tokens are wanted"),
        (&|task| task.keys = usize::MAX, "but at most 16777216 are wanted"),
        (&|task| (task.keys, task.values) = (1 << 12, 1 << 12), "but at most 16777216 are wanted"),
        (&|task| task.test.clear(), "there is no test segment"),
        (&|task| task.test[0].examples = 0, "no `examples`"),
    ];
    for (change, sentence) in changes {
        let problem = refused(change);
        assert!(problem.contains(sentence), "{problem}");
    }
    let text = "extends = \"stacked\"\nname = \"odd\"\n[model]\nwidths = [64, 33]\n";
    let problem = Experiment::parse(text).unwrap_err();
    assert!(problem.contains("its width is 33, but an even one is wanted"), "{problem}");
}
