//! The needle in a haystack: its tokens, read without knowing how they were made.

use seqzoo_recall::task::{
    Coordinates, Example, Haystack, LengthSegment, Needle, NeedleTests, Slice, Split, Task,
};
use std::collections::{BTreeMap, BTreeSet};

const MARK: u32 = 0;
const ASK: u32 = 1;

/// RULER's variants, small: S1, S2, S3, MK, MV, MQ.
fn variants(haystack: Haystack) -> Vec<(&'static str, Needle)> {
    let variant = |symbols, value_length, [needles, values, queries]: [usize; 3]| Needle {
        haystack,
        keys: 12,
        symbols,
        value_length,
        needles,
        values,
        queries,
        train: vec![LengthSegment { length: 96, examples: 0 }, LengthSegment { length: 61, examples: 0 }],
        test: NeedleTests {
            lengths: vec![61, 200],
            depths: if values * queries == 1 { 11 } else { 0 },
            examples: 10,
        },
    };
    vec![
        ("S1", variant(8, 1, [1, 1, 1])),
        ("S2", variant(10, 4, [1, 1, 1])),
        ("S3", variant(16, 16, [1, 1, 1])),
        ("MK", variant(10, 4, [4, 1, 1])),
        ("MV", variant(10, 2, [1, 4, 1])),
        ("MQ", variant(10, 2, [4, 1, 4])),
        ("all at once", variant(10, 1, [4, 2, 3])),
    ]
}

fn all_variants() -> impl Iterator<Item = (String, Needle)> {
    [Haystack::Cycle, Haystack::Chain].into_iter().flat_map(|haystack| {
        variants(haystack).into_iter().map(move |(name, task)| (format!("{name} in a {haystack:?}"), task))
    })
}

/// A needle as it was found: after so many tokens of filler.
struct Found {
    key: u32,
    value: Vec<u32>,
    offset: usize,
}

/// What a reader makes of an example.
struct Read {
    needles: Vec<Found>,
    /// The symbols of the filler, from 0.
    filler: Vec<u32>,
    asked: Vec<u32>,
    answers: Vec<(usize, u32)>,
    question: usize,
}

/// Reads the tokens alone, and asserts that they are a haystack and then questions.
fn read(needle: &Needle, tokens: &[u32]) -> Read {
    let keys = 2..2 + needle.keys as u32;
    let symbols = keys.end..keys.end + needle.symbols as u32;
    let question = tokens.iter().position(|token| *token == ASK).expect("a question");
    let (mut needles, mut filler, mut at) = (Vec::new(), Vec::new(), 0);
    while at < question {
        if tokens[at] != MARK {
            assert!(tokens[at] >= symbols.end, "a key or value lies about at {at}: {tokens:?}");
            filler.push(tokens[at] - symbols.end);
            at += 1;
            continue;
        }
        let value = tokens[at + 2..at + 2 + needle.value_length].to_vec();
        assert!(keys.contains(&tokens[at + 1]) && value.iter().all(|symbol| symbols.contains(symbol)));
        needles.push(Found { key: tokens[at + 1], value, offset: filler.len() });
        at += 2 + needle.value_length;
    }
    assert_eq!(at, question, "a needle is whole");

    let (mut asked, mut answers) = (Vec::new(), Vec::new());
    while at < tokens.len() {
        let key = tokens[at + 1];
        assert_eq!(tokens[at], ASK);
        let told = needles.iter().filter(|found| found.key == key).flat_map(|found| found.value.clone());
        let told: Vec<u32> = told.collect();
        let (_, given) = told.split_last().expect("a key that is asked for is hidden");
        answers.extend(told.iter().enumerate().map(|(index, symbol)| (at + 1 + index, *symbol)));
        assert_eq!(&tokens[at + 2..at + 2 + given.len()], given, "the answer is given token by token");
        asked.push(key);
        at += 2 + given.len();
    }
    Read { needles, filler, asked, answers, question }
}

/// Calls `look` on many examples of every segment of both splits.
fn each(needle: &Needle, count: u64, mut look: impl FnMut(Coordinates, Slice, &Example, Read)) {
    let task = Task::Needle(needle.clone());
    task.check().unwrap();
    for split in [Split::Train, Split::Test] {
        for (segment, (slice, _)) in task.segments(split).into_iter().enumerate() {
            for index in 0..count {
                let at = Coordinates { seed: 3, split, segment: segment as u64, index };
                let example = task.example(at);
                let found = read(needle, &example.tokens);
                look(at, slice, &example, found);
            }
        }
    }
}

#[test]
fn the_answers_are_what_the_tokens_say() {
    for (name, needle) in all_variants() {
        each(&needle, 40, |at, slice, example, found| {
            assert_eq!(example.tokens.len(), slice.length, "{name}, {at:?}");
            assert_eq!(example.answers, found.answers, "{name}, {at:?}");
            assert_eq!(example.question, Some(found.question), "{name}, {at:?}");
            assert_eq!(found.asked.len(), needle.queries, "{name}, {at:?}");
            let asked: BTreeSet<u32> = found.asked.iter().copied().collect();
            assert_eq!(asked.len(), needle.queries, "no key is asked for twice: {name}, {at:?}");
            let mut times = BTreeMap::new();
            for each in &found.needles {
                *times.entry(each.key).or_insert(0) += 1;
            }
            assert_eq!(times.len(), needle.needles, "keys are distinct: {name}, {at:?}");
            assert!(times.values().all(|count| *count == needle.values), "{name}, {at:?}");
        });
    }
}

#[test]
fn a_needle_asked_for_alone_lies_at_its_depth() {
    for (name, needle) in all_variants().filter(|(_, needle)| needle.queries * needle.values == 1) {
        let mut depths = BTreeSet::new();
        each(&needle, 20, |at, Slice { depth, .. }, _, found| {
            assert_eq!(depth.is_some(), at.split == Split::Test, "{name}");
            let Some(depth) = depth else { return };
            let one = found.needles.iter().find(|each| each.key == found.asked[0]).unwrap();
            let wanted = (found.filler.len() as f64 * depth as f64 / 100.0).round() as usize;
            assert_eq!(one.offset, wanted, "{name}, {at:?}");
            depths.insert(depth);
        });
        assert!(depths.into_iter().eq((0..=100).step_by(10)), "{name}");
    }
}

#[test]
fn in_training_and_without_depths_needles_lie_anywhere() {
    for (name, needle) in all_variants() {
        let task = Task::Needle(needle.clone());
        // The test segment 0 has depth 0 where there are depths.
        let splits = if needle.test.depths == 0 { &[Split::Train, Split::Test][..] } else { &[Split::Train] };
        for split in splits {
            let (mut quarters, mut ends, mut ranks) = ([0.0; 4], [false; 2], vec![0.0; needle.needles]);
            for index in 0..4000 {
                let at = Coordinates { seed: 3, split: *split, segment: 0, index };
                let found = read(&needle, &task.example(at).tokens);
                let filler = found.filler.len();
                for each in &found.needles {
                    quarters[4 * each.offset / (filler + 1)] += 1.0;
                    ends[0] |= each.offset == 0;
                    ends[1] |= each.offset == filler;
                }
                let first = found.needles.iter().position(|each| each.key == found.asked[0]).unwrap();
                if needle.values == 1 {
                    ranks[first] += 1.0;
                }
            }
            let places = task.segments(*split)[0].0.length;
            let count = quarters.iter().sum::<f64>();
            for quarter in quarters {
                // Quarters of a number of places that 4 does not divide differ by a place.
                let (share, slack) = (quarter / count, 3.0 / places as f64);
                assert!((share - 0.25).abs() < 5.0 * (0.1875 / count).sqrt() + slack, "{name}: {share}");
            }
            assert!(ends == [true; 2], "{name}: right at the start, and right before the question");
            let even = 4000.0 / needle.needles as f64;
            let near = |rank: &f64| (rank - even).abs() < 5.0 * even.sqrt();
            assert!(needle.values > 1 || ranks.iter().all(near), "asked for wherever it lies: {ranks:?}");
        }
    }
}

#[test]
fn the_cycle_goes_on_after_a_needle() {
    for (name, needle) in variants(Haystack::Cycle) {
        each(&needle, 20, |at, _, _, found| {
            let wanted = (0..8).cycle().take(found.filler.len());
            assert!(found.filler.into_iter().eq(wanted), "{name}, {at:?}");
        });
    }
}

#[test]
fn the_chain_follows_its_probabilities_across_needles() {
    let mut times: BTreeMap<u32, BTreeMap<u32, f64>> = BTreeMap::new();
    // One variant: all of them draw from the same streams.
    let (_, needle) = variants(Haystack::Chain).swap_remove(3);
    each(&needle, 100, |_, _, _, found| {
        for pair in found.filler.windows(2) {
            *times.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1.0;
        }
    });
    assert!(times.keys().all(|symbol| *symbol < 32) && times.len() > 16, "{times:?}");
    let (mut ranks, mut total) = ([0.0; 4], 0.0);
    for (symbol, next) in &times {
        let mut counts: Vec<f64> = next.values().copied().collect();
        counts.sort_by(|a, b| b.total_cmp(a));
        assert!(counts.len() <= 4, "{symbol} is followed by {next:?}");
        let count = counts.iter().sum::<f64>();
        if count < 500.0 {
            continue;
        }
        total += count;
        for (rank, probability) in [8.0, 4.0, 2.0, 1.0].map(|weight| weight / 15.0).into_iter().enumerate() {
            let deviation = (count * probability * (1.0 - probability)).sqrt();
            assert!((counts[rank] - count * probability).abs() < 5.0 * deviation, "{symbol}: {counts:?}");
            ranks[rank] += counts[rank];
        }
    }
    assert!(total > 50_000.0, "{total}");
    for (rank, weight) in [8.0, 4.0, 2.0, 1.0].into_iter().enumerate() {
        assert!((ranks[rank] / total - weight / 15.0).abs() < 0.01, "{ranks:?}");
    }
}

/// A mistake, and what is said about it.
type Change<'a> = (&'a dyn Fn(&mut Needle), &'a str);

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |change: &dyn Fn(&mut Needle)| {
        let (_, mut needle) = variants(Haystack::Chain).swap_remove(0);
        assert_eq!(Task::Needle(needle.clone()).check(), Ok(()));
        change(&mut needle);
        Task::Needle(needle).check().unwrap_err()
    };
    let changes: [Change<'_>; 16] = [
        (&|needle| needle.symbols = 1, "fewer than 2 symbols tells nothing"),
        (&|needle| needle.value_length = 0, "must be 1 to"),
        (&|needle| needle.values = 0, "must be 1 to"),
        (&|needle| needle.queries = 0, "must be 1 to"),
        (&|needle| needle.needles = 0, "must be 1 to"),
        (&|needle| needle.needles = 13, "13 needles want as many keys, but keys = 12"),
        (&|needle| needle.queries = 2, "queries = 2, but only 1 keys are hidden"),
        (&|needle| needle.values = 2, "no depth is theirs; set test.depths = 0"),
        (&|needle| needle.value_length = 30, "needles and question alone are 63 tokens"),
        (&|needle| needle.value_length = usize::MAX, "must be 1 to"),
        (&|needle| needle.keys = usize::MAX, "but at most 16777216 are wanted"),
        (&|needle| needle.symbols = usize::MAX, "but at most 16777216 are wanted"),
        (&|needle| needle.train.clear(), "there is no train segment"),
        (&|needle| needle.test.lengths = vec![61, 61], "a length is named twice"),
        (&|needle| needle.test.depths = 1, "or 0 for needles anywhere"),
        (&|needle| needle.test.examples = 0, "no `examples`"),
    ];
    for (change, sentence) in changes {
        let problem = refused(change);
        assert!(problem.contains(sentence), "{problem}");
    }
}
