//! Induction heads: structure, balance, and what is refused.

use seqzoo_recall::experiment::Experiment;
use seqzoo_recall::task::{Coordinates, Example, Induction, LengthSegment, Slice, Split, Task};

fn task(vocab_size: usize, lengths: &[usize]) -> Task {
    let segments =
        |examples| lengths.iter().map(|length| LengthSegment { length: *length, examples }).collect();
    Task::Induction(Induction { vocab_size, train: segments(0), test: segments(100) })
}

fn at(split: Split, segment: usize, index: u64) -> Coordinates {
    Coordinates { seed: 7, split, segment: segment as u64, index }
}

/// The positions of the trigger.
fn triggers(example: &Example, trigger: u32) -> Vec<usize> {
    let all = example.tokens.iter().enumerate().filter(|(_, token)| **token == trigger);
    all.map(|(position, _)| position).collect()
}

#[test]
fn the_answer_is_what_followed_the_first_of_two_triggers() {
    let shipped = Experiment::shipped("induction").unwrap().unwrap().task;
    for (task, vocab_size, count) in [(shipped, 16, 100), (task(2, &[3, 4, 5, 17]), 2, 1000)] {
        assert_eq!((task.vocabulary(), task.whole(), task.asks_once()), (vocab_size + 1, false, true));
        for split in [Split::Train, Split::Test] {
            for (segment, (slice, _)) in task.segments(split).into_iter().enumerate() {
                for index in 0..count {
                    let example = task.example(at(split, segment, index));
                    assert_eq!(example.tokens.len(), slice.length);
                    let [first, last] = triggers(&example, vocab_size as u32)[..] else {
                        panic!("{example:?}")
                    };
                    assert_eq!(last, slice.length - 1);
                    assert!(first + 1 < last, "something must follow: {example:?}");
                    assert!(example.tokens.iter().all(|token| *token <= vocab_size as u32));
                    assert_eq!(example.answers, [(last, example.tokens[first + 1])]);
                    assert_eq!(example.question, Some(last));
                }
            }
        }
    }
}

#[test]
fn every_token_is_the_answer_equally_often_and_every_place_the_first() {
    const EXAMPLES: u64 = 16_000;
    let task = task(16, &[18]);
    let (mut answers, mut places) = ([0.0_f64; 16], [0.0_f64; 16]);
    for index in 0..EXAMPLES {
        let example = task.example(at(Split::Test, 0, index));
        answers[example.answers[0].1 as usize] += 1.0;
        places[triggers(&example, 16)[0]] += 1.0;
    }
    assert_eq!(task.chance(Slice::of_length(18)), [("guessing any token", 1.0 / 16.0)]);
    for count in answers.into_iter().chain(places) {
        // Five standard deviations of a count of mean 1000.
        assert!((count - 1000.0).abs() < 155.0, "{count}");
    }
}

#[test]
fn the_picture_shows_triggers_and_what_follows() {
    let task = task(16, &[64]);
    let example =
        Example { tokens: vec![1, 2, 3, 16, 5, 6, 7, 16], answers: vec![(7, 5)], question: Some(7) };
    assert_eq!(task.picture(&example), "  context   ·×3 ◆ t5 ·×2\n  question  ◆→t5\n");
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    assert!(task(16, &[3]).check().is_ok());
    let refused = |vocab_size, length, sentence: &str| {
        let problem = task(vocab_size, &[64, length]).check().unwrap_err();
        assert!(problem.contains(sentence), "{problem}");
    };
    refused(16, 2, "the train segment of length 2: at least 3 tokens are wanted");
    refused(16, 0, "the train segment of length 0: at least 3 tokens are wanted");
    refused(16, usize::MAX, "but at most 16777216 tokens are wanted");
    refused(1, 64, "vocab_size = 1, but fewer than 2 ordinary tokens tell nothing");
    refused(0, 64, "vocab_size = 0, but fewer than 2");
    refused(1 << 24, 64, "vocab_size and the trigger are 16777217 tokens together");
    refused(usize::MAX, 64, "tokens together, but at most 16777216 are wanted");
    let changed = |change: fn(&mut Induction), sentence: &str| {
        let Task::Induction(mut task) = task(16, &[64]) else { unreachable!() };
        change(&mut task);
        let problem = Task::Induction(task).check().unwrap_err();
        assert!(problem.contains(sentence), "{problem}");
    };
    changed(|task| task.train.clear(), "there is no train segment");
    changed(|task| task.test.clear(), "there is no test segment");
    changed(|task| task.test[0].length = 1, "the test segment of length 1: at least 3 tokens are wanted");
    changed(|task| task.test[0].examples = 0, "no `examples`");
}
