//! Multi-query associative recall: structure and statistics of the original generator's output
//! (golden case 15) and of ours.

use seqzoo_recall::task::{Coordinates, Example, Filler, Mqar, MqarSegment, Split, Task};
use seqzoo_tests::Golden;

fn task(vocab_size: usize, segment: MqarSegment, filler: Filler, shuffle_queries: bool) -> Task {
    Task::Mqar(Mqar {
        vocab_size,
        filler,
        shuffle_queries,
        power_a: 0.01,
        train: vec![segment],
        test: vec![segment],
    })
}

fn at(index: u64) -> Coordinates {
    Coordinates { seed: 7, split: Split::Test, segment: 0, index }
}

/// Asserts everything that is true of every example.
fn assert_structure(example: &Example, vocab_size: usize, pairs: usize, length: usize) {
    let (context, half) = (2 * pairs, vocab_size / 2);
    assert_eq!(example.tokens.len(), length);
    assert_eq!(example.answers.len(), pairs);
    let keys: Vec<u32> = example.tokens[..context].iter().step_by(2).copied().collect();
    let values: Vec<u32> = example.tokens[1..context].iter().step_by(2).copied().collect();
    assert!(keys.iter().all(|key| (1..half).contains(&(*key as usize))));
    assert!(values.iter().all(|value| (half..vocab_size).contains(&(*value as usize))));
    for line in [&keys, &values] {
        let mut distinct = line.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), pairs);
    }
    let mut asked = Vec::new();
    for (position, answer) in &example.answers {
        assert!(*position >= context && (position - context).is_multiple_of(2));
        let key = example.tokens[*position];
        let place = keys.iter().position(|each| *each == key).expect("a query is a key of the context");
        assert_eq!(values[place], *answer);
        asked.push(key);
    }
    asked.sort_unstable();
    let mut all = keys;
    all.sort_unstable();
    assert_eq!(asked, all, "every key is asked once");
}

struct Case {
    golden: Golden,
    task: Task,
    vocab_size: usize,
    pairs: usize,
    length: usize,
}

fn cases() -> Vec<Case> {
    ["15_mqar__l64_kv4", "15_mqar__l64_kv8_zeros", "15_mqar__l128_kv8"]
        .into_iter()
        .map(|name| {
            let golden = Golden::load(name);
            let number = |name: &str| golden.number(name) as usize;
            let (vocab_size, pairs, length) =
                (number("vocab_size"), number("num_kv_pairs"), number("input_seq_len"));
            let filler = match golden.parameter("random_non_queries") {
                "True" => Filler::Uniform,
                _ => Filler::Zero,
            };
            let task =
                task(vocab_size, MqarSegment { length, pairs, updates: 0, examples: 2000 }, filler, false);
            Case { golden, task, vocab_size, pairs, length }
        })
        .collect()
}

#[test]
fn the_original_examples_and_ours_have_the_same_structure() {
    for Case { golden, task, vocab_size, pairs, length } in cases() {
        let (inputs, labels) = (golden.values("inputs"), golden.values("labels"));
        for row in 0..3 {
            let line = |values: &[f64]| values[row * length..(row + 1) * length].to_vec();
            let labels = line(labels);
            let answers = labels.iter().enumerate().filter(|(_, label)| **label >= 0.0);
            let original = Example {
                tokens: line(inputs).iter().map(|token| *token as u32).collect(),
                answers: answers.map(|(position, label)| (position, *label as u32)).collect(),
                question: None,
            };
            assert_structure(&original, vocab_size, pairs, length);
        }
        for index in 0..200 {
            assert_structure(&task.example(at(index)), vocab_size, pairs, length);
        }
    }
}

#[test]
fn the_slots_of_the_queries_follow_the_original_law() {
    for Case { golden, task, pairs, length, .. } in cases() {
        let slots = (length - 2 * pairs) / 2;
        let mut counts = vec![0.0; slots];
        for index in 0..2000 {
            for (position, _) in task.example(at(index)).answers {
                counts[(position - 2 * pairs) / 2] += 1.0;
            }
        }
        // Both are 2000 examples of the same law, so each slot's difference has at most twice the
        // variance of a count; 5 standard deviations leave no room for another law.
        for (slot, (ours, theirs)) in counts.iter().zip(golden.values("slot_histogram")).enumerate() {
            let deviation = (ours + theirs).sqrt().max(3.0);
            assert!((ours - theirs).abs() < 5.0 * deviation, "slot {slot}: {ours} and {theirs}");
        }
        let law = golden.values("slot_probability");
        let normal: f64 = (1..=slots).map(|slot| (slot as f64).powf(-0.99)).sum();
        for (slot, probability) in law.iter().enumerate() {
            assert!((probability - ((slot + 1) as f64).powf(-0.99) / normal).abs() < 1e-6);
        }
    }
}

#[test]
fn means_over_examples_equal_the_original_ones() {
    for Case { golden, task, pairs, length, .. } in cases() {
        let context = 2 * pairs;
        let (mut slots, mut distances, mut keys, mut values, mut inputs, mut filler) =
            (vec![], vec![], vec![], vec![], vec![], vec![]);
        for index in 0..2000 {
            let example = task.example(at(index));
            for (position, _) in &example.answers {
                let key = example.tokens[*position];
                let place =
                    example.tokens[..context].iter().step_by(2).position(|each| *each == key).unwrap();
                slots.push((position - context) as f64 / 2.0);
                distances.push((position - 2 * place) as f64);
            }
            keys.extend(example.tokens[..context].iter().step_by(2).map(|token| f64::from(*token)));
            values.extend(example.tokens[1..context].iter().step_by(2).map(|token| f64::from(*token)));
            inputs.extend(example.tokens.iter().map(|token| f64::from(*token)));
            let asked = |position: &usize| example.answers.iter().any(|(each, _)| each == position);
            filler.extend(
                (context..length).filter(|position| !asked(position)).map(|p| f64::from(example.tokens[p])),
            );
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        for (name, ours) in [
            ("mean_slot", mean(&slots)),
            ("mean_key_query_distance", mean(&distances)),
            ("mean_key_token", mean(&keys)),
            ("mean_value_token", mean(&values)),
            ("mean_input_token", mean(&inputs)),
            ("filler_mean", mean(&filler)),
        ] {
            let theirs = golden.values(name)[0];
            assert!((ours - theirs).abs() <= 0.03 * theirs.abs(), "{name}: {ours} and {theirs}");
        }
    }
}

#[test]
fn shuffled_queries_do_not_tell_the_order_of_the_context() {
    let segment = MqarSegment { length: 128, pairs: 16, updates: 0, examples: 1 };
    // The mean slot of the first key minus that of the last one.
    let gap = |shuffle| {
        let task = task(256, segment, Filler::Reserved(64), shuffle);
        let mut gap = 0.0;
        for index in 0..2000 {
            let example = task.example(at(index));
            let slot = |place: usize| {
                let key = example.tokens[2 * place];
                example.answers.iter().find(|(position, _)| example.tokens[*position] == key).unwrap().0
                    as f64
            };
            gap += (slot(15) - slot(0)) / 2000.0;
        }
        gap
    };
    let (original, shuffled) = (gap(false), gap(true));
    assert!(original > 8.0, "the original law asks early pairs early: {original}");
    assert!(shuffled.abs() < 4.0, "{shuffled}");
}

#[test]
fn reserved_filler_is_never_a_key_or_value() {
    let task =
        task(256, MqarSegment { length: 64, pairs: 4, updates: 0, examples: 1 }, Filler::Reserved(64), true);
    assert_eq!(task.vocabulary(), 320);
    for index in 0..200 {
        let example = task.example(at(index));
        for (position, token) in example.tokens.iter().enumerate().skip(8) {
            let asked = example.answers.iter().any(|(each, _)| *each == position);
            assert_eq!((256..320).contains(token), !asked);
        }
    }
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    let refused = |segment: MqarSegment, vocab_size: usize, filler: Filler| {
        task(vocab_size, segment, filler, true).check().unwrap_err()
    };
    let segment = |length, pairs| MqarSegment { length, pairs, updates: 0, examples: 1 };
    assert!(
        refused(segment(15, 2), 64, Filler::Zero).contains("an even length of at least 4 tokens per pair")
    );
    assert!(refused(segment(16, 5), 64, Filler::Zero).contains("at least 4 tokens per pair"));
    assert!(refused(segment(400, 64), 64, Filler::Zero).contains("gives only 31 keys"));
    assert!(refused(segment(16, 2), 64, Filler::Reserved(0)).contains("filler alphabet is empty"));
    assert!(
        refused(MqarSegment { examples: 0, ..segment(16, 2) }, 64, Filler::Zero).contains("no `examples`")
    );
    assert!(refused(segment(16, 2), 3, Filler::Zero).contains("vocab_size = 3"));
}
