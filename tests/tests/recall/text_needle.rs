//! Needles in written text, read as a reader would.

use super::coordinates::assert_depends_on_coordinates_alone;
use super::reader::{Reading, read};
use seqzoo_recall::task::{
    Coordinates, LengthSegment, NeedleTests, Slice, Split, Task, TextHaystack, TextNeedle, ValueKind,
};
use std::collections::{BTreeMap, HashSet};

const HAYSTACKS: [TextHaystack; 3] = [TextHaystack::Noise, TextHaystack::Essay, TextHaystack::Needles];
const KINDS: [(ValueKind, &str); 3] =
    [(ValueKind::Numbers, "numbers"), (ValueKind::Words, "words"), (ValueKind::Uuids, "uuids")];
/// Keys, values of each, keys asked for.
const COUNTS: [[usize; 3]; 6] = [[1, 1, 1], [4, 1, 1], [1, 4, 1], [4, 1, 4], [3, 1, 2], [4, 2, 3]];

fn needle(
    haystack: TextHaystack,
    value_kind: ValueKind,
    [needles, values, queries]: [usize; 3],
) -> TextNeedle {
    TextNeedle {
        haystack,
        value_kind,
        needles,
        values,
        queries,
        train: vec![LengthSegment { length: 3000, examples: 0 }],
        test: NeedleTests {
            lengths: vec![1500, 3001],
            depths: if values * queries == 1 { 11 } else { 0 },
            examples: 10,
        },
    }
}

/// Every task, at its least length and longer.
fn tasks() -> Vec<(TextNeedle, &'static str)> {
    let mut tasks = Vec::new();
    for haystack in HAYSTACKS {
        for (kind, plural) in KINDS {
            for counts in COUNTS {
                let mut task = needle(haystack, kind, counts);
                let least = least(&task);
                let longer = [0, 1, 2, 3, 20, 95].map(|more| least + more);
                task.train.extend(longer.map(|length| LengthSegment { length, examples: 0 }));
                tasks.push((task, plural));
            }
        }
    }
    tasks
}

/// The least length that is not refused.
fn least(task: &TextNeedle) -> usize {
    let fits = |length: &usize| {
        let train = vec![LengthSegment { length: *length, examples: 0 }];
        Task::TextNeedle(TextNeedle { train, ..task.clone() }).check().is_ok()
    };
    (1..).find(fits).unwrap()
}

/// A needle of a text: where it begins, its bytes, and what it says.
struct Found<'a> {
    start: usize,
    length: usize,
    key: &'a str,
    value: &'a str,
}

/// All needles of a text that are whole.
fn needles<'a>(text: &'a str, plural: &str) -> Vec<Found<'a>> {
    let opening = format!("One of the special magic {plural} for ");
    let found = text.match_indices(&opening).filter_map(|(start, _)| {
        let (said, _) = text[start..].lines().next()?.split_once('.')?;
        let (key, value) = said[opening.len()..].split_once(" is: ")?;
        Some(Found { start, length: said.len() + 1, key, value })
    });
    found.collect()
}

/// The words of `a`, `a, and b` or `a, b, and c`.
fn words(list: &str) -> Vec<&str> {
    list.split(", ").map(|word| word.strip_prefix("and ").unwrap_or(word)).collect()
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("{after}: {text}")).0
}

fn assert_kind(kind: ValueKind, value: &str) {
    match kind {
        ValueKind::Numbers => assert!((1_000_000..10_000_000).contains(&value.parse::<u32>().unwrap())),
        ValueKind::Words => assert_name(value),
        ValueKind::Uuids => {
            let parts: Vec<&str> = value.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{value}");
            assert!(parts.iter().all(|part| u64::from_str_radix(part, 16).is_ok()), "{value}");
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{value}");
        }
    }
}

/// An adjective and a noun.
fn assert_name(name: &str) {
    let (adjective, noun) = name.split_once('-').unwrap();
    let plain = |word: &str| word.chars().all(|letter| letter.is_ascii_lowercase());
    assert!(plain(adjective) && plain(noun) && name.len() == 11, "{name}");
}

/// Asserts that prompt and question are RULER's, and gives the keys asked for.
fn asked<'a>(task: &TextNeedle, plural: &str, prompt: &str, question: &'a str) -> Vec<&'a str> {
    let keys = between(question, " for ", " mentioned");
    let (wanted_prompt, wanted_question) = if task.queries * task.values == 1 {
        let noun = &plural[..plural.len() - 1];
        (
            format!(
                "A special magic {noun} is hidden within the following text. Make sure to memorize it. I will quiz you \
                 about the {noun} afterwards."
            ),
            format!(
                "What is the special magic {noun} for {keys} mentioned in the provided text? The special magic {noun} \
                 for {keys} mentioned in the provided text is"
            ),
        )
    } else {
        (
            format!(
                "Some special magic {plural} are hidden within the following text. Make sure to memorize it. I will \
                 quiz you about the {plural} afterwards."
            ),
            format!(
                "What are all the special magic {plural} for {keys} mentioned in the provided text? The special magic \
                 {plural} for {keys} mentioned in the provided text are"
            ),
        )
    };
    assert_eq!(prompt, wanted_prompt);
    assert_eq!(question, wanted_question);
    words(keys)
}

/// Asserts everything that is true of every example.
fn assert_reads(task: &TextNeedle, plural: &str, reading: &Reading) {
    let (prompt, context) = reading.text.split_once('\n').unwrap();
    let asked = asked(task, plural, prompt, &reading.question);
    assert_eq!(asked.len(), task.queries);
    assert!(context.ends_with('\n'), "the question stands on a line of its own");

    let mut told: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for found in needles(context, plural) {
        assert_name(found.key);
        assert_kind(task.value_kind, found.value);
        told.entry(found.key).or_default().push(found.value);
    }
    let wanted: Vec<&str> = asked.iter().flat_map(|key| told[key].iter().copied()).collect();
    let answer = reading.answer.strip_prefix(' ').unwrap().strip_suffix('.').unwrap();
    assert_eq!(words(answer), wanted, "{context}");

    // Every key is there once for each of its values, those of the haystack once.
    assert!(told.values().all(|values| [1, task.values].contains(&values.len())), "{told:?}");
    let full = told.values().filter(|values| values.len() == task.values).count();
    match task.haystack {
        TextHaystack::Needles => assert!(full >= task.needles, "{told:?}"),
        _ => assert!(told.len() == task.needles && full == task.needles, "{told:?}"),
    }
    let values: HashSet<&str> = told.values().flatten().copied().collect();
    assert!(values.iter().all(|value| !told.contains_key(value)), "no value is a key");

    // What is asked for stands nowhere but in its needle.
    let mut rest = context.to_string();
    for found in needles(context, plural).iter().rev().filter(|found| asked.contains(&found.key)) {
        rest.replace_range(found.start..found.start + found.length, "");
    }
    assert!(wanted.iter().chain(&asked).all(|word| !rest.contains(word)), "{rest}");
}

#[test]
fn the_text_answers_the_question_and_has_the_asked_length() {
    for (task, plural) in tasks() {
        let law = Task::TextNeedle(task.clone());
        law.check().unwrap();
        for split in [Split::Train, Split::Test] {
            for (segment, (Slice { length, .. }, _)) in law.segments(split).into_iter().enumerate() {
                for index in 0..5 {
                    let at = Coordinates { seed: 3, split, segment: segment as u64, index };
                    let example = law.example(at);
                    assert_eq!(example.tokens.len(), length, "{task:?} at {at:?}");
                    assert_reads(&task, plural, &read(&example));
                }
            }
        }
    }
}

#[test]
fn the_needle_lies_before_the_sentence_that_is_nearest_to_the_depth() {
    for haystack in HAYSTACKS {
        let task = Task::TextNeedle(needle(haystack, ValueKind::Numbers, [1, 1, 1]));
        for (segment, (Slice { depth, .. }, _)) in task.segments(Split::Test).into_iter().enumerate() {
            for index in 0..30 {
                let at = Coordinates { seed: 5, split: Split::Test, segment: segment as u64, index };
                let Reading { text, question, .. } = read(&task.example(at));
                let (_, context) = text.split_once('\n').unwrap();
                let asked = between(&question, " for ", " mentioned");
                let needles = needles(context, "numbers");
                let found = needles.iter().find(|found| found.key == asked).unwrap();
                let mut hay = context.to_string();
                hay.replace_range(found.start..=found.start + found.length, "");

                let sentences = hay.match_indices('.').map(|(stop, _)| stop + 2);
                let places = sentences.chain([0, hay.len()]).filter(|place| *place <= hay.len());
                let wanted = hay.len() as f64 * depth.unwrap() as f64 / 100.0;
                let nearest = places.map(|place| (place as f64 - wanted).abs()).fold(f64::INFINITY, f64::min);
                let distance = (found.start as f64 - wanted).abs();
                assert!((distance - nearest).abs() < 1e-9, "{at:?}: {distance} and {nearest}");
                assert!(distance < 80.0, "{at:?}: further than half of a long sentence");
            }
        }
    }
}

#[test]
fn needles_come_in_a_fresh_order_with_and_without_a_haystack() {
    for haystack in HAYSTACKS {
        let mut task = needle(haystack, ValueKind::Numbers, [3, 1, 3]);
        let least = least(&task);
        task.train.push(LengthSegment { length: least, examples: 0 });
        let task = Task::TextNeedle(task);
        for segment in [0, 1] {
            let mut orders: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
            for index in 0..600 {
                let at = Coordinates { seed: 5, split: Split::Train, segment, index };
                let Reading { text, question, .. } = read(&task.example(at));
                let asked = words(between(&question, " for ", " mentioned"));
                let needles = needles(&text, "numbers");
                let order = needles.iter().filter_map(|found| asked.iter().position(|key| *key == found.key));
                *orders.entry(order.collect()).or_default() += 1;
            }
            assert_eq!(orders.len(), 6, "{orders:?}");
            assert!(orders.values().all(|count| (55..150).contains(count)), "{orders:?}");
        }
    }
}

#[test]
fn in_every_haystack_an_example_depends_on_its_coordinates_alone() {
    for haystack in HAYSTACKS {
        assert_depends_on_coordinates_alone(&Task::TextNeedle(needle(haystack, ValueKind::Words, [1, 1, 1])));
    }
}

#[test]
fn the_picture_shows_the_needles_and_counts_the_filler() {
    for haystack in HAYSTACKS {
        let task = Task::TextNeedle(needle(haystack, ValueKind::Uuids, [1, 1, 1]));
        let at = Coordinates { seed: 0, split: Split::Test, segment: 5, index: 0 };
        let example = task.example(at);
        let Reading { question, answer, .. } = read(&example);
        let key = between(&question, " for ", " mentioned");
        let picture = task.picture(&example);
        for part in [
            format!("One of the special magic uuids for {key} is:{answer}"),
            format!("\n  question  {question}\n  answer    \"{answer}\"\n"),
            " bytes …]".into(),
        ] {
            assert!(picture.contains(&part), "{picture}");
        }
        assert!(picture.len() < 1100, "{picture}");
    }
}

#[test]
fn guessing_pays_as_little_as_it_says() {
    let chance = |haystack, kind, counts| {
        Task::TextNeedle(needle(haystack, kind, counts)).chance(Slice::of_length(1500))
    };
    let [noise, _, lines] = HAYSTACKS;
    assert_eq!(chance(noise, ValueKind::Numbers, [1, 1, 1]), [("guessing any value", 1.0 / 9e6)]);
    let several = chance(noise, ValueKind::Words, [4, 1, 1]);
    assert_eq!(several, [("guessing any value", 1.0 / 4096.0), ("guessing a value of the haystack", 0.25)]);
    let among = chance(lines, ValueKind::Numbers, [1, 1, 1])[1].1;
    assert!((1.0 / 25.0..1.0 / 12.0).contains(&among), "{among}");
}

#[test]
fn tasks_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut TextNeedle)| {
        let mut task = needle(TextHaystack::Needles, ValueKind::Words, [2, 1, 1]);
        change(&mut task);
        Task::TextNeedle(task).check().unwrap_err()
    };
    for problem in [
        refused(|task| task.needles = 0),
        refused(|task| task.needles = usize::MAX),
        refused(|task| task.values = usize::MAX),
        refused(|task| task.queries = 0),
    ] {
        assert!(problem.contains("`needles`, `values` and `queries` must be 1 to 16777216"), "{problem}");
    }
    assert!(refused(|task| task.queries = 3).contains("queries = 3, but only 2 keys are hidden"));
    assert!(refused(|task| task.queries = 2).contains("no depth is theirs"));
    assert!(refused(|task| task.needles = 1 << 24).contains("needles and question alone are"));
    assert!(refused(|task| task.train[0].length = 100).contains("needles and question alone are"));
    assert!(refused(|task| task.train[0].length = 1 << 24).contains("there are only 4096"));
    assert!(refused(|task| task.train[0].length = usize::MAX).contains("at most 16777216 tokens"));
    assert!(refused(|task| task.test.depths = usize::MAX).contains("test.depths ="));
    assert!(refused(|task| task.test.examples = 0).contains("no `examples`"));
    let all = |task: &mut TextNeedle| {
        task.test.depths = 0;
        [task.needles, task.values, task.queries] = [1 << 24; 3];
    };
    assert!(refused(all).contains("needles and question alone are"));
}
