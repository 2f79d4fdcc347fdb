//! Successive halving: what ends early, what goes on, and what several contestants share.

use super::tool::Workplace;
use seqzoo_recall::results::{CurvePoint, RunResult};
use std::collections::BTreeMap;

#[test]
fn halving_ends_the_worse_rates_and_leaves_the_best_as_it_is_without() {
    let workplace = Workplace::new(40);
    let text = workplace.read("small.toml").replace("seeds = [3]", "seeds = [3, 4]");
    let text = text.replace("learning_rates = [0.01]", "learning_rates = [0.01, 0.0001, 0.003, 0.03]");
    workplace.write("all.toml", &text);
    workplace.write("halved.toml", &text.replace("learning_rates", "halving = [0.2, 0.5]\nlearning_rates"));
    let said = workplace.recall(&["run", "halved.toml", "--out", "halved", "--jobs", "2"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.err.matches("falls behind and ends after 10 steps").count(), 2 * 2 * 2, "{}", said.err);
    assert_eq!(said.err.matches("falls behind and ends after 20 steps").count(), 2 * 2, "{}", said.err);
    assert_eq!(workplace.recall(&["run", "all.toml", "--out", "all"]).code, Some(0));

    let (halved, all) = (workplace.results("halved"), workplace.results("all"));
    assert_eq!((halved.len(), all.len()), (16, 16));
    let whole: Vec<&RunResult> = halved.iter().filter(|result| !result.halved).collect();
    assert_eq!(whole.len(), 2 * 2, "one rate of each contestant, with every seed");
    for result in &whole {
        assert!(result.steps == 40 && all.contains(result), "to the last digit");
    }
    for result in halved.iter().filter(|result| result.halved) {
        assert!(result.steps == 10 || result.steps == 20);
    }
    let gaps = [("gated", 10), ("gated", 20), ("attention", 10), ("attention", 20)]
        .map(|(contestant, rung)| gap(&halved, contestant, rung));
    assert!(gaps.iter().all(|gap| *gap >= 0.0), "the better half goes on: {gaps:?}");
    assert!(gaps.iter().any(|gap| *gap > 0.0), "not all are equal: {gaps:?}");
    let page = workplace.read("halved/report.html");
    for words in ["successive halving", "0.2, 0.5", "(ended after 10 steps)", "unknown"] {
        assert!(page.contains(words), "{words}");
    }
    let again = workplace.recall(&["run", "halved.toml", "--out", "halved", "--resume"]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(workplace.results("halved"), halved);

    for wrong in ["[0.5, 0.2]", "[0.0]", "[1.0]", "[0.2, 0.2]"] {
        workplace.write(
            "wrong.toml",
            &text.replace("learning_rates", &format!("halving = {wrong}\nlearning_rates")),
        );
        let said = workplace.recall(&["run", "wrong.toml"]);
        assert_eq!(said.code, Some(2));
        assert!(said.err.contains("above 0, below 1, rising"), "{}", said.err);
    }
}

/// By how much the worst rate that went on from a rung was better there than the best one that ended, in the mean over
/// seeds.
fn gap(results: &[RunResult], contestant: &str, rung: usize) -> f64 {
    let reached = || results.iter().filter(|result| result.contestant == contestant && result.steps >= rung);
    let mean = |rate: f64| {
        let seeds = reached().filter(|result| result.learning_rate == rate);
        let points = seeds.flat_map(|result| result.curve.iter().filter(|point| point.step == rung));
        let accuracies: Vec<f64> = points.map(CurvePoint::accuracy).collect();
        assert_eq!(accuracies.len(), 2, "both seeds were scored at the rung");
        accuracies.iter().sum::<f64>() / 2.0
    };
    let (ended, going): (Vec<&RunResult>, Vec<&RunResult>) =
        reached().partition(|result| result.steps == rung);
    let best = ended.iter().map(|result| mean(result.learning_rate)).fold(f64::NEG_INFINITY, f64::max);
    let worst = going.iter().map(|result| mean(result.learning_rate)).fold(f64::INFINITY, f64::min);
    worst - best
}

/// Two contestants of the same layers that share two of their four learning rates.
fn rivals(text: &str) -> String {
    let (head, contestants) = text.split_once("[[contestants]]").unwrap();
    let head = head.replace("seeds", "halving = [0.2, 0.5]\nseeds");
    let layers = contestants.lines().find(|line| line.starts_with("layers")).unwrap();
    let contestant = |name: &str, rates: &str| {
        format!("[[contestants]]\nname = \"{name}\"\n{layers}\nlearning_rates = {rates}\n")
    };
    let first = contestant("first", "[0.01, 0.0001, 0.003, 0.03]");
    let second = contestant("second", "[0.003, 0.0003, 0.03, 0.001]");
    head + &first + &second
}

/// How often each run was evaluated after each of its steps, whoever it was trained for.
fn evaluations(err: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in err.lines().filter(|line| line.contains(": step ")) {
        let (_, run) = line.split_once(", width ").unwrap();
        let (run, _) = run.split_once(", loss").unwrap();
        *counts.entry(run).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_run_that_contestants_share_is_trained_once_and_read_by_all() {
    let workplace = Workplace::new(40);
    workplace.write("rivals.toml", &rivals(&workplace.read("small.toml")));
    let alone = workplace.recall(&["run", "rivals.toml", "--out", "alone"]);
    assert_eq!(alone.code, Some(0), "{}", alone.err);
    let beside = workplace.recall(&["run", "rivals.toml", "--out", "beside", "--jobs", "2"]);
    assert_eq!(beside.code, Some(0), "{}", beside.err);
    for said in [&alone, &beside] {
        let evaluations = evaluations(&said.err);
        assert!(evaluations.len() >= 6, "{}", said.err);
        assert!(evaluations.values().all(|count| *count == 1), "{evaluations:?}");
    }
    let results = workplace.results("beside");
    assert_eq!(results, workplace.results("alone"));
    assert_eq!(results.len(), 8, "each contestant has its four rates");
    let of = |name: &str, rate: f64| {
        let mut found = results.iter().filter(|result| result.learning_rate == rate);
        let found = found.find(|result| result.contestant == name).unwrap();
        RunResult { contestant: String::new(), ..found.clone() }
    };
    for rate in [0.003, 0.03] {
        assert_eq!(of("first", rate), of("second", rate), "the shared runs are the same ones");
    }
    for name in ["first", "second"] {
        let whole = results.iter().filter(|result| result.contestant == name && !result.halved);
        assert!((1..=2).contains(&whole.count()), "its best rate, and one that is the best of the other");
    }
}
