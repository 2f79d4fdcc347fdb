//! The pass key: its text, read as a reader would.

use super::reader::{Reading, read};
use seqzoo_recall::task::{Coordinates, Example, LengthSegment, NeedleTests, Passkey, Slice, Split, Task};

const TASK: &str = "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I \
                    will quiz you about the important information there.";
const GRASS: &str =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";

fn task(train: &[usize], lengths: &[usize], depths: usize) -> Task {
    let train = train.iter().map(|length| LengthSegment { length: *length, examples: 0 }).collect();
    Task::Passkey(Passkey { train, test: NeedleTests { lengths: lengths.to_vec(), depths, examples: 10 } })
}

/// The least length that is not refused.
fn least() -> usize {
    (1..).find(|length| task(&[*length], &[*length], 0).check().is_ok()).unwrap()
}

/// The number that a text says, and the bytes of filler before and after it.
fn find(example: &Example) -> (usize, usize, usize) {
    let Reading { text, question, answer } = read(example);
    let lines: Vec<&str> = text.split('\n').collect();
    let [told, before, needle, after, ""] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(told, TASK);
    assert_eq!(question, "What is the pass key? The pass key is");
    let said = needle.strip_prefix("The pass key is ").unwrap().strip_suffix(" is the pass key.").unwrap();
    let (key, again) = said.split_once(". Remember it. ").unwrap();
    assert_eq!(key, again);
    assert_eq!(answer, format!(" {key}."));
    let filler = format!("{before}{after}");
    assert!(GRASS.repeat(100).starts_with(&filler), "the filler goes on after the needle: {filler}");
    assert!(!filler.contains(|letter: char| letter.is_ascii_digit()));
    (key.parse().unwrap(), before.len(), after.len())
}

#[test]
fn the_text_says_the_key_at_the_asked_depth_and_has_the_asked_length() {
    let least = least();
    let task = task(&[least, 300, 512], &[least, 400, 2048], 11);
    task.check().unwrap();
    for split in [Split::Train, Split::Test] {
        for (segment, (Slice { length, depth, .. }, _)) in task.segments(split).into_iter().enumerate() {
            for index in 0..60 {
                let at = Coordinates { seed: 3, split, segment: segment as u64, index };
                let example = task.example(at);
                assert_eq!(example.tokens.len(), length, "{at:?}");
                let (key, before, after) = find(&example);
                assert!((1..=50_000).contains(&key));
                assert_eq!(depth.is_some(), split == Split::Test);
                if let Some(depth) = depth {
                    let wanted = (before + after) as f64 * depth as f64 / 100.0;
                    assert!((before as f64 - wanted).abs() <= 0.5, "{at:?}: {before} for {wanted}");
                }
            }
        }
    }
}

#[test]
fn keys_are_uniform_and_in_training_lie_anywhere() {
    let task = task(&[512], &[512], 0);
    let (mut keys, mut depths, mut digits) = (0.0, 0.0, [0i32; 6]);
    for index in 0..4000 {
        let at = Coordinates { seed: 3, split: Split::Train, segment: 0, index };
        let (key, before, after) = find(&task.example(at));
        keys += key as f64 / 4000.0;
        depths += before as f64 / (before + after) as f64 / 4000.0;
        digits[key.to_string().len()] += 1;
    }
    assert!((keys / 25_000.0 - 1.0).abs() < 0.05, "{keys}");
    assert!((depths - 0.5).abs() < 0.03, "{depths}");
    // Of 50 000 keys 40 001 have 5 digits, 9 000 have 4, 900 have 3.
    assert!((digits[5] - 3200).abs() < 130 && (digits[4] - 720).abs() < 130, "{digits:?}");
    assert!(digits[3] > 30, "{digits:?}");
}

#[test]
fn the_picture_shows_the_key_and_counts_the_filler() {
    let task = task(&[512], &[2048], 3);
    let at = Coordinates { seed: 0, split: Split::Test, segment: 1, index: 0 };
    let example = task.example(at);
    let (key, ..) = find(&example);
    let picture = task.picture(&example);
    for part in [
        format!("  text      {TASK}\n            The grass is green."),
        format!("\n            The pass key is {key}. Remember it. {key} is the pass key.\n"),
        format!("  question  What is the pass key? The pass key is\n  answer    \" {key}.\"\n"),
        " bytes …]".into(),
    ] {
        assert!(picture.contains(&part), "{picture}");
    }
    assert!(picture.len() < 800, "{picture}");
}

#[test]
fn guessing_is_right_once_in_so_many_keys() {
    let task = task(&[512], &[512], 0);
    assert!(task.whole() && task.asks_once() && task.vocabulary() == 256);
    assert_eq!(task.chance(Slice::of_length(512)), [("guessing any number", 1.0 / 50_000.0)]);
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    let least = least();
    let refused =
        |train: &[usize], lengths: &[usize], depths| task(train, lengths, depths).check().unwrap_err();
    let short =
        format!("a segment has length {}, but needles and question alone are {least} bytes", least - 1);
    assert_eq!(refused(&[least - 1], &[512], 0), short);
    assert_eq!(refused(&[512], &[least - 1], 0), short);
    assert!(refused(&[512], &[512], 1).contains("test.depths = 1"));
    assert!(refused(&[512], &[512], usize::MAX).contains("but 2 to 101 are wanted"));
    assert!(refused(&[512], &[512, 512], 2).contains("named twice in test.lengths"));
    assert!(refused(&[512], &[512; 65], 2).contains("test.lengths has 65 lengths"));
    assert!(refused(&[usize::MAX], &[512], 2).contains("but at most 16777216 tokens"));
    assert!(refused(&[], &[512], 2).contains("there is no train segment"));
    assert!(refused(&[512], &[], 2).contains("there is no test segment"));
}
