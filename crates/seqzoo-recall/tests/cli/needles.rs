//! A needle in a haystack: its grid, its control, and tests read in segments.

use super::tool::Workplace;

/// The task of `needles.toml`: trained on 16 tokens, tested on 16 and 40 at three depths.
const NEEDLES: &str = r#"task = { kind = "needle", haystack = "cycle", keys = 4, symbols = 4, value_length = 2, train = [{ length = 16 }], test = { lengths = [16, 40], depths = 3, examples = 20 } }"#;

fn workplace() -> Workplace {
    let workplace = Workplace::new(150);
    let text = workplace.read("small.toml");
    let task = text.lines().find(|line| line.starts_with("task")).unwrap();
    let text = text
        .replace(task, NEEDLES)
        .replace("evaluate_every = 10", "evaluate_every = 50\nevaluate_beyond = false");
    workplace.write("needles.toml", &text);
    workplace
}

#[test]
fn a_grid_is_reported_as_a_map_and_by_length() {
    let workplace = workplace();
    let said = workplace.recall(&["run", "needles.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for words in ["length 16", "length 40", "state cleared"] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert!(!said.out.contains("depth"), "a column for every length, not for every cell: {}", said.out);
    let page = workplace.read("out/report.html");
    for words in ["Accuracy over length and depth", "trained to 16", "exact match", "Wilson"] {
        assert!(page.contains(words), "{words}");
    }
    let map = workplace.read("out/accuracy_over_length_and_depth.svg");
    assert!(map.starts_with("<svg") && page.contains(map.trim_end()));
    for result in workplace.results("out") {
        assert_eq!(result.slices.len(), 6);
        assert!(result.curve.iter().all(|point| point.slices.len() == 3), "on the way, what was trained on");
        assert!(result.cleared.is_some_and(|share| share < 0.25), "nothing is left but guessing: {result:?}");
    }
}

#[test]
fn tests_read_in_segments_are_scored_like_those_read_at_once() {
    let workplace = workplace();
    let text = workplace.read("needles.toml").replace("value_length = 2", "value_length = 1");
    let text = text.replace("steps = 150", "steps = 400");
    workplace.write("needles.toml", &text);
    workplace.write("streamed.toml", &text.replace("clip_norm", "stream_tests = 7\nclip_norm"));
    assert_eq!(workplace.recall(&["run", "needles.toml", "--out", "whole"]).code, Some(0));
    assert_eq!(workplace.recall(&["run", "streamed.toml", "--out", "streamed"]).code, Some(0));
    let (whole, streamed) = (workplace.results("whole"), workplace.results("streamed"));
    assert!(whole.iter().any(|result| result.accuracy > 0.9), "one has learned");
    for (whole, streamed) in whole.into_iter().zip(streamed) {
        for (whole, streamed) in whole.slices.iter().zip(&streamed.slices) {
            assert_eq!((whole.slice, whole.accuracy), (streamed.slice, streamed.accuracy));
            assert!(whole.streamed.is_none() && streamed.streamed.is_some_and(|cost| cost.state_bytes > 0));
        }
    }
}

#[test]
fn settings_that_cannot_be_are_refused_with_a_sentence() {
    let workplace = workplace();
    let text = workplace.read("needles.toml");
    for (from, to, problem) in [
        ("depths = 3", "depths = 1", "2 to 101 are wanted, or 0 for needles anywhere"),
        ("depths = 3", "depths = 3000", "2 to 101 are wanted"),
        ("keys = 4", "keys = 0", "1 needles want as many keys"),
        ("symbols = 4", "symbols = 1", "a value of fewer than 2 symbols tells nothing"),
        ("value_length = 2", "value_length = 0", "must be 1 to"),
        ("value_length = 2", "value_length = 9", "needles and question alone are 21 tokens"),
        ("value_length = 2", "value_length = 2, needles = 2, values = 2", "no depth is theirs"),
        ("value_length = 2", "value_length = 2, queries = 2", "only 1 keys are hidden"),
        ("lengths = [16, 40]", "lengths = []", "there is no test segment"),
        ("lengths = [16, 40]", "lengths = [40, 40]", "a length is named twice"),
        ("lengths = [16, 40]", "lengths = [40]", "nothing would be scored on the way"),
        ("examples = 20", "examples = 0", "a test segment has no `examples`"),
        ("clip_norm", "stream_tests = 0\nclip_norm", "`stream_tests` is 0"),
    ] {
        assert!(text.contains(from), "{from}");
        workplace.write("wrong.toml", &text.replacen(from, to, 1));
        let said = workplace.recall(&["run", "wrong.toml"]);
        assert_eq!(said.code, Some(2), "{to}: {}", said.out);
        assert!(said.err.contains(problem), "{to}: {}", said.err);
    }
}

#[test]
fn an_example_is_shown_for_every_length() {
    let workplace = workplace();
    let said = workplace.recall(&["show", "needles.toml"]);
    assert_eq!(said.code, Some(0));
    assert_eq!(said.out.matches("haystack").count(), 2, "{}", said.out);
    assert!(said.out.contains("length 40, depth 50 %"), "{}", said.out);
}
