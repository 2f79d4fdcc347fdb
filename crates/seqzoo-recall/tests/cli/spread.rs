//! The same results however the runs are spread: over shares, side by side, one after the other.

use super::tool::Workplace;
use seqzoo_recall::results::RunResult;

/// Four seeds of two contestants: eight runs.
fn workplace() -> Workplace {
    let workplace = Workplace::new(20);
    let text = workplace.read("small.toml").replace("seeds = [3]", "seeds = [3, 4, 5, 6]");
    workplace.write("eight.toml", &text);
    workplace
}

fn in_order(mut results: Vec<RunResult>) -> Vec<RunResult> {
    results.sort_by(|a, b| a.key.cmp(&b.key));
    results
}

fn whole(workplace: &Workplace) -> Vec<RunResult> {
    assert_eq!(workplace.recall(&["run", "eight.toml", "--out", "whole"]).code, Some(0));
    workplace.results("whole")
}

#[test]
fn three_shares_merged_are_one_run_to_the_last_digit() {
    let workplace = workplace();
    let mut counts = Vec::new();
    for share in 1..=3 {
        let said = workplace.recall(&["run", "eight.toml", "--shard", &format!("{share}/3")]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.contains("Only"), "a share knows that it is one: {}", said.out);
        counts.push(workplace.results(&format!("runs/small-test-{share}-of-3")).len());
    }
    counts.sort_unstable();
    assert_eq!(counts, [2, 3, 3], "shares differ by one run at most");

    let shares = ["runs/small-test-1-of-3", "runs/small-test-2-of-3", "runs/small-test-3-of-3"];
    let arguments = ["report", shares[0], shares[1], shares[2], "--out", "merged", "--json", "--strict"];
    let said = workplace.recall(&arguments);
    assert_eq!(said.code, Some(0), "nothing is missing any more: {}", said.err);
    let merged = said.out.lines().map(|line| serde_json::from_str::<RunResult>(line).unwrap().reproducible());
    assert_eq!(in_order(merged.collect()), in_order(whole(&workplace)));
}

#[test]
fn runs_side_by_side_find_what_they_find_alone() {
    let workplace = workplace();
    let said = workplace.recall(&["run", "eight.toml", "--out", "beside", "--jobs", "3"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(workplace.results("beside"), whole(&workplace));
    assert!(workplace.read("beside/report.html").contains("3 runs side by side"));
}

#[test]
fn shares_that_cannot_be_are_refused_with_a_sentence() {
    let workplace = workplace();
    for share in ["0/3", "4/3", "3", "1/0", "a/b", "1/99999999"] {
        let said = workplace.recall(&["run", "eight.toml", "--shard", share]);
        assert_eq!(said.code, Some(2), "{share}");
        assert!(said.err.contains("a share such as 3/16 is wanted"), "{}", said.err);
    }
    let said = workplace.recall(&["run", "eight.toml", "--shard", "1/3", "--strict"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--strict judges all runs"), "{}", said.err);
    let said = workplace.recall(&["run", "eight.toml", "--shard", "9/9"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("fewer runs than shares"), "{}", said.err);
    assert_eq!(workplace.recall(&["run", "eight.toml", "--jobs", "0"]).code, Some(2));
}

#[test]
fn an_error_beside_other_runs_ends_all_of_them() {
    let workplace = workplace();
    assert_eq!(workplace.recall(&["run", "eight.toml", "--out", "out", "--shard", "1/8"]).code, Some(0));
    let runs = std::fs::read_dir(workplace.path("out/runs")).unwrap();
    let run = runs.map(|run| run.unwrap().path()).find(|run| run.join("result.json").exists()).unwrap();
    std::fs::write(run.join("result.json"), "{").unwrap();
    let said = workplace.recall(&["run", "eight.toml", "--out", "out", "--resume", "--jobs", "2"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("remove this file to do the run again"), "{}", said.err);
}
