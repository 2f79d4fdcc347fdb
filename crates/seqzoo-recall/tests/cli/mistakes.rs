//! Bad input gets one clear sentence, exit code 2, and loses nothing.

use super::tool::{CHECKPOINT, Workplace};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn refused(arguments: &[&str], sentence: &str) {
    let workplace = Workplace::new(5);
    let said = workplace.recall(arguments);
    assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
    assert!(said.err.contains(sentence), "{arguments:?}: {}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    assert!(said.out.is_empty(), "{}", said.out);
}

#[test]
fn flags_and_names_that_do_not_exist() {
    refused(&["--frobnicate"], "unexpected argument '--frobnicate'");
    refused(&[], "Usage: recall");
    refused(&["dance"], "unrecognized subcommand 'dance'");
    refused(&["quick", "--threads", "0"], "invalid value '0' for '--threads <N>'");
    refused(&["quick", "--seed", "x"], "invalid value 'x' for '--seed <N>'");
    refused(&["quick", "--device", "abacus"], "there is no device `abacus` in this build; it has flex");
    refused(
        &["run", "enormous"],
        "there is no file and no shipped experiment `enormous`; the shipped ones are quick",
    );
    refused(&["run", "absent.toml"], "absent.toml: No such file or directory");
    refused(&["show", "chess"], "the tasks are mqar, state_tracking");
    refused(&["report", "nowhere"], "nowhere holds no experiment; give a directory that `recall quick`");
    refused(&["report", "small.toml"], "small.toml holds no experiment");
    refused(&["run", "."], ". is a directory; give a TOML file");
    refused(&["quick", "--threads", "65535"], "65535 is not in 1..=1024");
    refused(&["report"], "required arguments were not provided");
}

/// Asserts that each of `changes` to an experiment is answered by its sentence.
fn refuses(experiment: &str, changes: &[(&str, &str, &str)]) {
    let workplace = Workplace::new(5);
    let text = workplace.read(experiment);
    for (from, to, sentence) in changes {
        assert!(text.contains(from));
        workplace.write("bad.toml", &text.replacen(from, to, 1));
        let said = workplace.recall(&["run", "bad.toml", "--out", "out"]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(sentence), "{to}: {}", said.err);
        assert!(!workplace.path("out").exists(), "nothing is written for an experiment that cannot be run");
    }
}

#[test]
fn configurations_that_describe_nothing() {
    let changes = [
        ("seeds", "sieds", "unknown field `sieds`"),
        ("num_heads = 2", "num_heads = 5", "which do not divide into 5 heads"),
        ("num_heads = 2", "num_heads = \"two\"", "the option `num_heads`"),
        ("gated_linear_attention", "gated", "gated: there is no such layer; the layers are"),
        ("pairs = 4", "pairs = 5", "an even length of at least 4 tokens per pair"),
        ("steps = 5", "steps = 0", "the number of steps is 0"),
        ("seeds = [3]", "seeds = [3, 3]", "a seed is named twice"),
        ("[0.01]", "[0.01, 0.01]", "a rate is named twice"),
        ("widths = [16]", "widths = [16, 16]", "a width is named twice"),
        ("widths = [16]", "widths = [4000000000]", "all from 1 to 65536"),
        ("widths = [16]", "embedding_std = inf, widths = [16]", "`model.embedding_std` is inf"),
        ("weight_decay = 0.01", "weight_decay = inf", "`weight_decay` must be a finite number"),
        ("at_least = 0.0", "at_least = inf", "wants accuracies from 0 to 1"),
        ("examples = 8", "examples = 99999999999", "a batch must hold 1 to 1048576 examples"),
        ("pairs = 2 }]", "pairs = 2, examples = 7 }]", "has no number of `examples`; leave it out"),
        ("\"attention\"", "\"\"", "its name must be printable"),
        (
            "\"attention\"",
            "\"attention\"\nlearning_rates = [0.0]",
            "the contestant `attention`: every learning rate must be a number above 0",
        ),
        ("= [3]", "= [3", "TOML parse error"),
        (
            "num_heads = 2, conv_size",
            "clamp_min = nan, num_heads = 2, conv_size",
            "clamp_min = NaN, but a finite number",
        ),
        ("beta_2 = 0.98", "beta_2 = 0.99999999", "which is 1 in the f32"),
        ("conv_size = 3", "conv_size = 100000000000", "the taps would be of shape [8, 100000000000]"),
        // The second contestant, which is checked before the first is trained.
        (
            "num_heads = 2 }]",
            "num_heads = 2, head_dim = 1000000000 }]",
            "the number of channels of all heads",
        ),
        ("examples = 8 }", "tokens = 9223372036854775807 }", "a batch must hold 1 to 1048576 examples"),
    ];
    refuses("small.toml", &changes);
}

#[test]
fn groups_and_lengths_that_do_not_exist() {
    let changes = [
        ("\"s3\"", "\"z7\"", "unknown variant `z7`, expected one of `parity`, `s3`, `s5`"),
        ("\"swaps\"", "\"cycles\"", "unknown variant `cycles`, expected `all` or `swaps`"),
        ("\"s3\"", "\"parity\"", "the swaps of parity are all of it; leave `generators` out"),
        (
            "[{ length = 16 }]",
            "[{ length = 3 }]",
            "the train segment of length 3: at least 4 tokens are wanted",
        ),
        ("[{ length = 16 }]", "[]", "there is no train segment"),
        ("[{ length = 16 }]", "[{ length = 16, pairs = 4 }]", "unknown field `pairs`"),
        ("[{ length = 16 }]", "[{ length = 16, examples = 7 }]", "has no number of `examples`; leave it out"),
        ("length = 32, examples = 20", "length = 32", "a test segment has no `examples`"),
        ("at_least = 0.0", "pairs = 4\nat_least = 0.0", "wants 4 pairs, which no test segment has"),
        ("at_least = 0.0", "length = 17\nat_least = 0.0", "wants length 17, which no test segment has"),
        ("at_least = 0.0", "lenght = 16\nat_least = 0.0", "unknown field `lenght`"),
        ("num_heads = 2, conv_size", "num_heads = \"none\", conv_size", "the option `num_heads`"),
    ];
    refuses("states.toml", &changes);
}

#[test]
fn results_are_never_written_over() {
    let workplace = Workplace::new(5);
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "out"]).code, Some(0));
    let before = workplace.read("out/results.jsonl");
    let said = workplace.recall(&["run", "small.toml", "--out", "out"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("out already holds the experiment `small-test`; add --resume to continue it"));
    assert_eq!(workplace.read("out/results.jsonl"), before);

    let again = workplace.recall(&["run", "small.toml", "--out", "out", "--resume"]);
    assert_eq!(again.code, Some(0));
    assert_eq!(again.err.matches("already done").count(), 2);
    assert_eq!(workplace.read("out/results.jsonl"), before);

    let text = workplace.read("small.toml").replace("small-test", "another-test");
    workplace.write("other.toml", &text);
    let other = workplace.recall(&["run", "other.toml", "--out", "out", "--resume"]);
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains("choose another directory for `another-test`"), "{}", other.err);
    assert_eq!(workplace.read("out/results.jsonl"), before);
}

/// Every file of the directory `out` itself.
fn files(workplace: &Workplace, out: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(workplace.path(out)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_report_on_something_else_leaves_an_experiment_as_it_is() {
    let workplace = Workplace::new(5);
    let said = workplace.recall(&["run", "small.toml", "--out", "out", "--keep-models"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "runs/report", "--seed", "4"]).code, Some(0));
    let of_both = || [files(&workplace, "out"), files(&workplace, "runs/report")];
    let before = of_both();
    let run = std::fs::read_dir(workplace.path("out/runs")).unwrap().next().unwrap().unwrap().path();
    let model = run.join("model");
    for (arguments, directory) in [
        (&["score", "small.toml", "--model", model.to_str().unwrap(), "--out", "out"][..], "out"),
        (&["report", "runs/report", "--out", "out"], "out"),
        (&["report", "out", "runs/report", "--out", "out"], "out"),
        (&["report", "out", "--out", "out"], "out"),
        (&["report", "out", "runs/report"], "runs/report"),
    ] {
        let said = workplace.recall(arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.out);
        let sentence = format!(
            "recall: {directory} holds an experiment, whose results and report would be written over; choose another \
             directory with --out\n"
        );
        assert_eq!(said.err, sentence, "{arguments:?}");
        assert!(of_both() == before, "{arguments:?}");
    }
    assert_eq!(workplace.recall(&["report", "out"]).code, Some(0));
    assert!(of_both() == before, "a report on the experiment itself is what the run wrote");
}

#[test]
fn a_directory_that_cannot_be_written_is_said_before_training() {
    let workplace = Workplace::new(5);
    workplace.write("file", "in the way");
    let said = workplace.recall(&["run", "small.toml", "--out", "file/out"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("file/out"), "{}", said.err);
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let workplace = Workplace::new(100_000);
    let (mut first, mut lines) = workplace.start_and_listen(&["run", "small.toml", "--out", "out"]);
    assert!(lines.next().is_some());
    let second = workplace.recall(&["run", "small.toml", "--out", "out", "--resume"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, Some(2));
    assert!(second.err.contains("another recall works in out"), "{}", second.err);
}

#[test]
fn a_damaged_checkpoint_says_what_to_do() {
    let workplace = Workplace::new(100_000);
    let (mut child, mut lines) = workplace.start_and_listen(&["run", "small.toml", "--out", "out"]);
    assert!(lines.by_ref().take(3).count() == 3, "two evaluations have passed");
    child.kill().unwrap();
    child.wait().unwrap();
    let run = std::fs::read_dir(workplace.path("out/runs")).unwrap().next().unwrap().unwrap().path();
    let path = run.join(CHECKPOINT);
    let whole = std::fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let last = whole.len() - 1;
    for damaged in [whole[..last / 2].to_vec(), vec![], flipped(20), flipped(last / 2), flipped(last)] {
        std::fs::write(&path, damaged).unwrap();
        let said = workplace.recall(&["run", "small.toml", "--out", "out", "--resume"]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains("to start this run again"), "{}", said.err);
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
}

#[test]
fn a_damaged_result_is_named() {
    let workplace = Workplace::new(5);
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "out"]).code, Some(0));
    let run = std::fs::read_dir(workplace.path("out/runs")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(run.join("result.json"), "{").unwrap();
    let said = workplace.recall(&["report", "out"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("result.json") && said.err.contains("remove this file"), "{}", said.err);
}
