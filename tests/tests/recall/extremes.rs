//! Whatever number an experiment gives, it can be run or is an error: nothing panics, and nothing takes long.

use seqzoo_recall::experiment::{Experiment, SHIPPED, runs};
use std::time::{Duration, Instant};

const NUMBERS: &[&str] = &[
    "-9223372036854775808",
    "-1",
    "0",
    "1",
    "2",
    "3",
    "16777216",
    "2147483648",
    "4294967296",
    "1099511627776",
    "9223372036854775807",
    "9223372036854775808",
    "nan",
    "inf",
    "-inf",
    "-1.0",
    "-1e-60",
    "0.0",
    "1e-300",
    "1e-45",
    "0.5",
    "0.99999999",
    "1.0",
    "1e38",
    "1e300",
    "1e999",
];

/// Where the numbers of a text stand, those inside names and descriptions aside.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (at, letter) in text.char_indices() {
        quoted ^= letter == '"';
        let part = letter.is_ascii_alphanumeric() || "._-+\"".contains(letter);
        match (start, part) {
            (None, true) if letter.is_ascii_digit() && !quoted => start = Some(at),
            (None, true) => start = Some(usize::MAX),
            (Some(from), false) => {
                if from != usize::MAX {
                    found.push(from..at);
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn every_number_of_an_experiment_can_be_run_or_is_an_error() {
    let tried = [
        "quick",
        "paper",
        "s3",
        "needle",
        "passkey",
        "text_needle",
        "induction",
        "selective_copying",
        "forgetting",
        "stacked",
    ];
    for shipped in SHIPPED.iter().filter(|shipped| tried.contains(&shipped.name)) {
        let places = numbers(shipped.text);
        assert!(places.len() > 15, "{places:?}");
        for place in places {
            for number in NUMBERS {
                let mut text = shipped.text.to_string();
                text.replace_range(place.clone(), number);
                let start = Instant::now();
                if let Ok(experiment) = Experiment::parse(&text) {
                    let (task, training) = (&experiment.task, &experiment.training);
                    let steps = training.steps(task);
                    for step in [0, 1, steps / 2, steps - 1] {
                        let plan = training.plan(task, step.min(steps - 1));
                        assert!((0.0..=1.0).contains(&plan.rate), "{text}");
                    }
                    assert!(!runs(&experiment).is_empty());
                    assert!(!text.contains("nan") || shipped.text.contains("nan"), "{text}");
                }
                assert!(start.elapsed() < Duration::from_secs(2), "{text}");
            }
        }
    }
}

fn problem(from: &str, to: &str) -> String {
    let text = SHIPPED[0].text;
    assert!(text.contains(from), "{from}");
    match Experiment::parse(&text.replacen(from, to, 1)) {
        Ok(_) => panic!("{to}: an error was expected"),
        Err(problem) => problem,
    }
}

#[test]
fn what_is_no_number_is_named_by_its_path() {
    let gated = "kind = \"gated_linear_attention\"";
    for (option, value) in [("clamp_min", "NaN"), ("gate_logit_normalizer", "inf"), ("norm_epsilon", "-inf")]
    {
        let text = problem(gated, &format!("{gated}, {option} = {}", value.to_lowercase()));
        let sentence = format!("contestants[3].layers[1].{option} = {value}, but a finite number is wanted");
        assert!(text.contains(&sentence), "{text}");
    }
    let nested = problem("initializer = \"FanIn\"", "initializer = { Normal = { std = nan } }");
    assert!(nested.contains("contestants[0].layers[0].initializer.Normal.std = NaN"), "{nested}");
}

#[test]
fn what_f32_makes_of_a_number_is_what_is_judged() {
    for beta_2 in ["0.99999999", "0.99999998"] {
        let text = problem("beta_2 = 0.98", &format!("beta_2 = {beta_2}"));
        assert!(text.contains(&format!("`beta_2` is {beta_2}, which is 1 in the f32")), "{text}");
    }
    let text = SHIPPED[0].text.replacen("beta_2 = 0.98", "beta_2 = 0.9999999", 1);
    assert!(Experiment::parse(&text).is_ok());
    for (from, to, sentence) in [
        ("learning_rates = [0.003]", "learning_rates = [1e-60]", "learning_rates[0] = 1e-60"),
        ("learning_rates = [0.003]", "learning_rates = [1e300]", "learning_rates[0] = 1e300"),
        ("weight_decay = 0.01", "weight_decay = 1e300", "training.weight_decay = 1e300"),
        ("weight_decay = 0.01", "weight_decay = 1e-60", "training.weight_decay = 1e-60"),
        ("clip_norm = 1.0", "clip_norm = 1e300", "training.clip_norm = 1e300"),
        ("clip_norm = 1.0", "clip_norm = 1e-60", "training.clip_norm = 1e-60"),
        ("widths = [64]", "widths = [64]\nembedding_std = 1e300", "embedding_std = 1e300"),
    ] {
        assert!(problem(from, to).contains(sentence), "{}", problem(from, to));
    }
}

#[test]
fn what_no_machine_holds_is_refused() {
    for (from, to, sentence) in [
        ("vocab_size = 256", "vocab_size = 9223372036854775807", "but at most 16777216 are wanted"),
        ("reserved = 64", "reserved = 9223372036854775807", "but at most 16777216 are wanted"),
        (
            "length = 64, pairs = 4 }",
            "length = 1099511627776, pairs = 4 }",
            "a segment has length 1099511627776",
        ),
        (
            "length = 64, pairs = 4 }",
            "length = 64, pairs = 9223372036854775807 }",
            "at least 4 tokens per pair",
        ),
        ("examples = 512", "examples = 9223372036854775807", "a segment has 9223372036854775807 examples"),
        ("steps = 2000", "steps = 9223372036854775807", "the training has more than 4294967296 steps"),
        ("examples = 32 }", "tokens = 17592186044416 }", "a batch must hold 1 to 1048576 examples"),
        ("num_heads = 1,", "num_heads = 1, head_dim = 2147483648,", "the number of channels of all heads"),
    ] {
        let text = problem(from, to);
        assert!(text.contains(sentence), "{to}: {text}");
    }
    // Each number is possible, the batch that they make is not.
    let text = SHIPPED[0].text.replacen("length = 64, pairs = 4 }", "length = 16777216, pairs = 4 }", 1);
    let text = Experiment::parse(&text.replacen("examples = 32", "examples = 1048576", 1)).unwrap_err();
    assert!(text.contains("which no machine holds"), "{text}");
}

#[test]
fn a_field_that_there_is_not_is_refused_inside_of_others() {
    for (from, to, sentence) in [
        ("fresh = { steps = 2000 }", "fresh = { steps = 2000, step = 1 }", "unexpected keys in table: step"),
        ("warmup = 0.05", "warmup = 0.05, warm = 1", "unexpected keys in table: warm"),
        ("reserved = 64", "reserved = 64, reservd = 1", "expected map with a single key"),
    ] {
        let text = problem(from, to);
        assert!(text.contains(sentence), "{text}");
    }
    let text = problem("initializer = \"FanIn\"", "initializer = { Normal = { std = 0.1, sdt = 1 } }");
    assert!(text.contains("`initializer.Normal`: there is no option `sdt`"), "{text}");
}
