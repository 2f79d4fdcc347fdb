//! Bad input gets one clear sentence, exit code 2, and loses nothing.

use super::tool::Workplace;

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
    refused(&["show", "chess"], "the tasks are mqar");
    refused(&["report", "nowhere"], "nowhere/experiment.json: No such file or directory");
    refused(&["report"], "required arguments were not provided");
}

#[test]
fn configurations_that_describe_nothing() {
    let workplace = Workplace::new(5);
    let text = workplace.read("small.toml");
    for (from, to, sentence) in [
        ("seeds", "sieds", "unknown field `sieds`"),
        ("num_heads = 2", "num_heads = 5", "which do not divide into 5 heads"),
        ("num_heads = 2", "num_heads = \"two\"", "the option `num_heads`"),
        ("gated_linear_attention", "gated", "gated: there is no such layer; the layers are"),
        ("pairs = 4", "pairs = 5", "an even length of at least 4 tokens per pair"),
        ("steps = 5", "steps = 0", "the number of steps is 0"),
        ("= [3]", "= [3", "TOML parse error"),
    ] {
        assert!(text.contains(from));
        workplace.write("bad.toml", &text.replacen(from, to, 1));
        let said = workplace.recall(&["run", "bad.toml", "--out", "out"]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(sentence), "{to}: {}", said.err);
        assert!(!workplace.path("out").exists(), "nothing is written for an experiment that cannot be run");
    }
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

#[test]
fn a_directory_that_cannot_be_written_is_said_before_training() {
    let workplace = Workplace::new(5);
    workplace.write("file", "in the way");
    let said = workplace.recall(&["run", "small.toml", "--out", "file/out"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("file/out"), "{}", said.err);
}

#[test]
fn a_damaged_result_is_named() {
    let workplace = Workplace::new(5);
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "out"]).code, Some(0));
    let run = std::fs::read_dir(workplace.path("out/runs")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(run.join("result.json"), "{").unwrap();
    let said = workplace.recall(&["report", "out"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("result.json"), "{}", said.err);
}
