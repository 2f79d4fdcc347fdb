//! Copying, plain and selective: structure, balance, and what is refused.

use seqzoo_recall::experiment::Experiment;
use seqzoo_recall::task::{Coordinates, Copying, Example, LengthSegment, Slice, Split, Task};
use std::collections::HashMap;

fn task(symbols: usize, tokens: usize, selective: bool, lengths: &[usize]) -> Task {
    let segments =
        |examples| lengths.iter().map(|length| LengthSegment { length: *length, examples }).collect();
    Task::Copying(Copying { symbols, tokens, selective, train: segments(0), test: segments(100) })
}

fn at(split: Split, segment: usize, index: u64) -> Coordinates {
    Coordinates { seed: 7, split, segment: segment as u64, index }
}

/// The positions before the markers that hold a symbol.
fn places(example: &Example, symbols: usize) -> Vec<usize> {
    let symbol = |position: &usize| (1..=symbols).contains(&(example.tokens[*position] as usize));
    (0..example.tokens.len()).filter(symbol).collect()
}

#[test]
fn the_answers_are_the_symbols_in_order() {
    let shipped = |name| Experiment::shipped(name).unwrap().unwrap().task;
    for (task, symbols, count, selective) in [
        (shipped("copying"), 14, 8, false),
        (shipped("selective_copying"), 14, 8, true),
        (task(3, 5, true, &[10, 11, 40]), 3, 5, true),
        (task(3, 5, false, &[10, 11, 40]), 3, 5, false),
        (task(2, 1, true, &[2, 3]), 2, 1, true),
    ] {
        assert_eq!((task.vocabulary(), task.whole(), task.asks_once()), (symbols + 2, false, true));
        for split in [Split::Train, Split::Test] {
            for (segment, (slice, _)) in task.segments(split).into_iter().enumerate() {
                for index in 0..500 {
                    let example = task.example(at(split, segment, index));
                    assert_eq!(example.tokens.len(), slice.length);
                    let (before, markers) = example.tokens.split_at(slice.length - count);
                    assert!(markers.iter().all(|token| *token as usize == symbols + 1));
                    assert!(before.iter().all(|token| *token as usize <= symbols));
                    let said: Vec<u32> = before.iter().copied().filter(|token| *token != 0).collect();
                    let positions = slice.length - count..slice.length;
                    assert_eq!(example.answers, positions.zip(said).collect::<Vec<_>>());
                    assert_eq!(example.answers.len(), count, "every symbol is asked for");
                    assert_eq!(example.question, Some(slice.length - count));
                    let start: Vec<usize> = (0..count).collect();
                    assert!(selective || places(&example, symbols) == start, "{example:?}");
                }
            }
        }
    }
}

#[test]
fn every_symbol_is_the_answer_equally_often_and_every_set_of_places_is_drawn() {
    const EXAMPLES: u64 = 6000;
    let task = task(6, 2, true, &[6]);
    let mut answers = [[0.0_f64; 6]; 2];
    let mut sets = HashMap::new();
    for index in 0..EXAMPLES {
        let example = task.example(at(Split::Test, 0, index));
        for (marker, (_, answer)) in example.answers.iter().enumerate() {
            answers[marker][*answer as usize - 1] += 1.0;
        }
        *sets.entry(places(&example, 6)).or_insert(0.0) += 1.0;
    }
    assert_eq!(sets.len(), 6, "two of four places");
    for count in answers.into_iter().flatten().chain(sets.into_values()) {
        // Five standard deviations of a count of mean 1000.
        assert!((count - 1000.0).abs() < 145.0, "{count}");
    }
}

#[test]
fn guessing_pays_what_is_said() {
    const EXAMPLES: u64 = 4000;
    for selective in [true, false] {
        let task = task(14, 8, selective, &[72]);
        let mut right = [0.0; 2];
        for index in 0..EXAMPLES {
            let example = task.example(at(Split::Test, 0, index));
            for (_, answer) in &example.answers {
                let told = example.answers.iter().filter(|(_, symbol)| symbol == answer).count();
                right[0] += f64::from(u8::from(*answer == 1 + (index % 14) as u32));
                right[1] += told as f64 / 8.0;
            }
        }
        let levels = task.chance(Slice::of_length(72));
        assert_eq!(
            levels.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["guessing any symbol", "guessing a symbol of the context"]
        );
        for ((name, level), right) in levels.into_iter().zip(right) {
            let share = right / (8 * EXAMPLES) as f64;
            assert!((share - level).abs() < 0.008, "{name}: {share} and {level}");
        }
    }
}

#[test]
fn the_picture_shows_symbols_and_what_is_said() {
    let task = task(14, 2, true, &[64]);
    let example = Example {
        tokens: vec![0, 0, 3, 0, 14, 0, 0, 0, 15, 15],
        answers: vec![(8, 3), (9, 14)],
        question: Some(8),
    };
    assert_eq!(task.picture(&example), "  remember  ·×2 s3 · s14 ·×3\n  answer    ?→s3 ?→s14\n");
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    assert!(task(2, 5, true, &[10]).check().is_ok());
    let refused = |symbols, tokens, length, sentence: &str| {
        let problem = task(symbols, tokens, true, &[64, length]).check().unwrap_err();
        assert!(problem.contains(sentence), "{problem}");
    };
    refused(14, 8, 15, "the train segment of length 15: 8 symbols and as many markers have no room in it");
    refused(14, 8, 0, "the train segment of length 0: 8 symbols");
    refused(14, 8, usize::MAX, "but at most 16777216 tokens are wanted");
    refused(14, 0, 64, "tokens = 0, but 1 to 16777216 are wanted");
    refused(14, usize::MAX, 64, "but 1 to 16777216 are wanted");
    refused(14, 1 << 24, 64, "16777216 symbols and as many markers have no room");
    refused(1, 8, 64, "symbols = 1, but fewer than 2 tell nothing");
    refused((1 << 24) - 1, 8, 64, "symbols, noise and marker are 16777217 tokens together");
    refused(usize::MAX, 8, 64, "tokens together, but at most 16777216 are wanted");
    let changed = |change: fn(&mut Copying), sentence: &str| {
        let Task::Copying(mut task) = task(14, 8, true, &[64]) else { unreachable!() };
        change(&mut task);
        let problem = Task::Copying(task).check().unwrap_err();
        assert!(problem.contains(sentence), "{problem}");
    };
    changed(|task| task.train.clear(), "there is no train segment");
    changed(|task| task.test.clear(), "there is no test segment");
    changed(|task| task.test[0].length = 14, "the test segment of length 14: 8 symbols");
    changed(|task| task.test[0].examples = 0, "no `examples`");
}
