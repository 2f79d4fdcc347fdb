//! Reports and exit codes.

use super::tool::Workplace;

#[test]
fn a_run_prints_a_table_and_writes_a_report_that_needs_nothing_else() {
    let workplace = Workplace::new(20);
    let said = workplace.recall(&["run", "small.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for word in
        ["gated", "attention", "2 pairs in 16", "4 pairs in 16", "recurrent B", "holds", "out/report.html"]
    {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    assert!(said.err.contains("step 20, loss"), "plain lines where there is no terminal: {}", said.err);

    let page = workplace.read("out/report.html");
    assert_eq!(page.matches("<svg").count(), 3, "one rate draws no picture of rates");
    for word in ["<!DOCTYPE html>", "guessing any value", "Provenance", "learning_rates", "gated"] {
        assert!(page.contains(word), "{word}");
    }
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http"), "the page loads nothing");
    let picture = workplace.read("out/accuracy_against_state.svg");
    assert!(picture.starts_with("<svg") && page.contains(picture.trim_end()));
    let markdown = workplace.read("out/report.md");
    assert!(markdown.starts_with("# small-test") && markdown.contains("| contestant"));
}

#[test]
fn a_task_without_pairs_is_reported_by_length() {
    let workplace = Workplace::new(5);
    let text = workplace
        .read("states.toml")
        .replacen("at_least = 0.0", "length = 32\nat_least = 0.0", 1)
        .replace("conv_size = 3", "conv_size = \"none\"");
    workplace.write("lengths.toml", &text);
    let said = workplace.recall(&["run", "lengths.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for words in ["length 16", "length 32", "at least 0 at length 32", "holds"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let page = workplace.read("out/report.html");
    for words in ["Accuracy against the length", "guessing any element", "The data is fresh"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("pairs"), "nothing is said of pairs");
    let line = workplace.read("out/results.jsonl");
    assert!(line.contains(r#""slice":{"length":32},"#), "{line}");
    assert_eq!(workplace.recall(&["run", "lengths.toml", "--out", "out", "--resume"]).code, Some(0));
}

#[test]
fn json_is_one_line_per_run() {
    let workplace = Workplace::new(5);
    let said = workplace.recall(&["run", "small.toml", "--out", "out", "--json"]);
    assert_eq!(said.out, workplace.read("out/results.jsonl"));
    let results = workplace.results("out");
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|result| result.slices.len() == 2 && result.seed == 3 && result.steps == 5));
    assert!(results[0].state.recurrent > 0 && results[1].state.cache > 0);
}

#[test]
fn strict_turns_a_failed_expectation_into_an_exit_code() {
    let workplace = Workplace::new(5);
    let text = workplace.read("small.toml").replacen("at_least = 0.0", "at_least = 1.0", 1);
    workplace.write("strict.toml", &text);
    let lenient = workplace.recall(&["run", "strict.toml", "--out", "a"]);
    assert_eq!(lenient.code, Some(0));
    assert!(lenient.out.contains("FAILS") && lenient.err.contains("expectations that fail: gated"));
    assert_eq!(workplace.recall(&["run", "strict.toml", "--out", "b", "--strict"]).code, Some(1));
    assert_eq!(workplace.recall(&["report", "a", "--strict"]).code, Some(1));
}

#[test]
fn a_report_joins_directories() {
    let workplace = Workplace::new(5);
    workplace.recall(&["run", "small.toml", "--out", "a"]);
    workplace.recall(&["run", "small.toml", "--out", "b", "--seed", "4"]);
    let said = workplace.recall(&["report", "a", "b", "--out", "both"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("/2"), "two seeds: {}", said.out);
    assert!(workplace.path("both/report.html").exists());
    assert_eq!(workplace.recall(&["report", "a", "b", "--json"]).out.lines().count(), 4);
}

#[test]
fn a_report_never_mixes_different_recipes_or_layers() {
    let workplace = Workplace::new(5);
    workplace.recall(&["run", "small.toml", "--out", "a"]);
    let text = workplace.read("small.toml");
    workplace.write("longer.toml", &text.replace("steps = 5", "steps = 6").replace("small-test", "longer"));
    workplace.recall(&["run", "longer.toml", "--out", "b"]);
    let said = workplace.recall(&["report", "a", "b", "--out", "both"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.out.contains("/2"), "no seed is counted for another recipe: {}", said.out);
    assert!(said.out.contains("small-test\n\n") && said.out.contains("longer\n\n"), "{}", said.out);
    let page = workplace.read("both/report.html");
    assert_eq!(
        (page.matches("<h1 id=").count(), page.matches("class=\"card\"").count()),
        (2, 2),
        "a gallery of both"
    );
    assert!(workplace.path("both/accuracy_against_state_2.svg").exists(), "nor in a picture");

    workplace.write("other.toml", &text.replacen("num_heads = 2", "num_heads = 1", 1));
    workplace.recall(&["run", "other.toml", "--out", "c"]);
    let said = workplace.recall(&["report", "a", "c", "a", "--out", "three"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.out.contains("/2"), "{}", said.out);
    assert!(said.out.contains("(2)"), "another layer of the same name gets its own row: {}", said.out);
}

#[test]
fn the_number_of_threads_changes_no_result() {
    let workplace = Workplace::new(20);
    workplace.recall(&["run", "small.toml", "--out", "one", "--threads", "1"]);
    workplace.recall(&["run", "small.toml", "--out", "two", "--threads", "2"]);
    assert_eq!(workplace.results("one"), workplace.results("two"));
}

#[test]
fn names_and_lengths_come_through_every_format() {
    let workplace = Workplace::new(5);
    let text = workplace
        .read("small.toml")
        .replace("\"gated\"", "\"a|b\"")
        .replace("pairs = 4, examples", "pairs = 2, examples")
        .replacen("length = 16, pairs = 2, examples", "length = 32, pairs = 2, examples", 1);
    workplace.write("named.toml", &text);
    let said = workplace.recall(&["run", "named.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(workplace.read("out/report.md").contains("| a\\|b"));
    let page = workplace.read("out/report.html");
    assert!(page.contains("a|b, 16 tokens") && page.contains("a|b, 32 tokens"), "a line per length");
    let list: serde_json::Value = serde_json::from_str(&workplace.recall(&["list", "--json"]).out).unwrap();
    assert_eq!(list["layers"][0]["kind"], "softmax_attention");
}

#[test]
fn a_diverged_run_is_no_success_of_a_negative_control() {
    let workplace = Workplace::new(20);
    let text =
        workplace.read("small.toml").replace("[0.01]", "[1e30]").replace("at_least = 0.0", "at_most = 0.9");
    workplace.write("hot.toml", &text);
    let said = workplace.recall(&["run", "hot.toml", "--out", "out", "--strict"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(
        said.out.contains("0/1 (1 diverged)") && said.out.contains("FAILS: a run diverged"),
        "{}",
        said.out
    );
}

#[test]
fn a_report_says_what_is_missing_and_grows_with_the_experiment() {
    let workplace = Workplace::new(5);
    let rate = "0.012589254117941675"; // read back exactly, or the result would not be found again
    let text = workplace.read("small.toml").replace("0.01]", &format!("{rate}]"));
    workplace.write("one.toml", &text);
    assert_eq!(workplace.recall(&["run", "one.toml", "--out", "out"]).code, Some(0));
    assert!(!workplace.recall(&["report", "out"]).out.contains("runs have finished"));

    let fewer = workplace.recall(&["run", "one.toml", "--out", "out", "--resume", "--seed", "4"]);
    assert_eq!(fewer.code, Some(2));
    assert!(fewer.err.contains("its `seeds` are others"), "{}", fewer.err);

    workplace.write("more.toml", &text.replace("seeds = [3]", "seeds = [3, 4]"));
    let more = workplace.recall(&["run", "more.toml", "--out", "out", "--resume"]);
    assert_eq!(more.code, Some(0), "{}", more.err);
    assert!(more.err.matches("already done").count() == 2 && more.out.contains("/2"), "{}", more.out);

    let some_run = std::fs::read_dir(workplace.path("out/runs")).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(some_run.join("result.json")).unwrap();
    let said = workplace.recall(&["report", "out", "--strict"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("Only 3 of 4 runs are here"), "{}", said.out);
    assert!(said.out.contains("FAILS: runs are missing"), "{}", said.out);
}

#[test]
fn a_report_over_several_directories_leaves_them_as_they_are() {
    let workplace = Workplace::new(5);
    workplace.recall(&["run", "small.toml", "--out", "a"]);
    workplace.recall(&["run", "small.toml", "--out", "b", "--seed", "4"]);
    let before = workplace.read("a/report.md");
    let said = workplace.recall(&["report", "a", "b"]);
    assert!(said.out.contains("runs/report/report.html"), "{}", said.out);
    assert_eq!(workplace.read("a/report.md"), before);
}
