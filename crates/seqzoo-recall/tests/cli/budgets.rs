//! Contestants that name the bytes of their state.

use super::tool::Workplace;

/// The contestants of `text` replaced by one with `settings`.
fn with_contestant(text: &str, settings: &str) -> String {
    let head = text.split("[[contestants]]").next().unwrap();
    format!("{head}[[contestants]]\nname = \"delta\"\n{settings}\n")
}

const HEADS: &str =
    r#"layers = [{ kind = "base_conv" }, { kind = "delta_net", num_heads = "solve", conv_size = "none" }]"#;

#[test]
fn the_size_is_found_and_said() {
    let workplace = Workplace::new(5);
    let text = workplace.read("small.toml");
    // Heads of 16 / H channels: H · (16 / H)² · 4 bytes.
    for (budget, heads) in [(1024, 1), (512, 2), (256, 4), (250, 4)] {
        let settings = format!("state_bytes = {budget}\n{HEADS}");
        workplace.write("budget.toml", &with_contestant(&text, &settings));
        let out = format!("out-{budget}");
        let said = workplace.recall(&["run", "budget.toml", "--out", &out]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let chosen = format!("num_heads = {heads} with {} bytes", 1024 / heads);
        assert!(said.err.contains(&chosen), "{chosen}: {}", said.err);
        assert!(workplace.read(&format!("{out}/report.html")).contains(&chosen));
        let [result] = &workplace.results(&out)[..] else { panic!("one run") };
        assert_eq!((result.state.recurrent, result.width), (1024 / heads, 16));
    }

    let settings = r#"state_bytes = 4096
layers = [{ kind = "base_conv" }, { kind = "delta_net", num_heads = 1, conv_size = "none" }]"#;
    workplace.write("width.toml", &with_contestant(&text, settings));
    let said = workplace.recall(&["run", "width.toml", "--out", "width"]);
    assert!(said.err.contains("width = 32 with 4096 bytes"), "{}", said.err);
    assert_eq!(workplace.results("width")[0].width, 32);
    let resumed = workplace.recall(&["run", "width.toml", "--out", "width", "--resume"]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
}

#[test]
fn a_cache_counts_as_it_is_after_the_longest_test() {
    let workplace = Workplace::new(5);
    let settings = r#"state_bytes = 512
layers = [{ kind = "base_conv" }, { kind = "softmax_attention", num_heads = 1, window = "solve" }]"#;
    workplace.write("window.toml", &with_contestant(&workplace.read("small.toml"), settings));
    // The token at hand needs no entry: a window of 5 keeps 4 keys and 4 values of 16 channels.
    let said = workplace.recall(&["run", "window.toml", "--out", "out"]);
    assert!(said.err.contains("window = 5 with 512 bytes"), "{}", said.err);
}

#[test]
fn budgets_that_cannot_be_met_are_refused_with_a_sentence() {
    let workplace = Workplace::new(5);
    let text = workplace.read("small.toml");
    for (settings, problem) in [
        (
            format!("state_bytes = 700\n{HEADS}"),
            "cannot be met within a tenth; num_heads = 2 with 512 bytes comes closest",
        ),
        (format!("state_bytes = 0\n{HEADS}"), "`state_bytes` is 0"),
        (HEADS.to_string(), "say for how many bytes with `state_bytes`"),
        (
            format!("state_bytes = 512\n{}", HEADS.replace("base_conv\"", "base_conv\", width = \"solve\"")),
            "2 options are to be solved for",
        ),
        (
            format!("state_bytes = 512\nwidth = 16\n{}", HEADS.replace("\"solve\"", "1")),
            "width = 16 with 1024 bytes comes closest",
        ),
        (format!("width = 0\n{}", HEADS.replace("\"solve\"", "1")), "its `width` must be from 1"),
        (format!("state_bytes = 512\n{}", HEADS.replace("delta_net", "delta_nets")), "delta_nets"),
    ] {
        workplace.write("wrong.toml", &with_contestant(&text, &settings));
        let said = workplace.recall(&["run", "wrong.toml"]);
        assert_eq!(said.code, Some(2), "{settings}: {}", said.out);
        assert!(said.err.contains(problem), "{settings}: {}", said.err);
    }
}

#[test]
fn a_budget_of_the_experiment_is_for_those_that_leave_something_open() {
    let workplace = Workplace::new(5);
    let text = with_contestant(&workplace.read("small.toml"), HEADS);
    let text = text + "[[contestants]]\nname = \"as it is\"\nlayers = [{ kind = \"base_conv\" }]\n";
    workplace.write("shared.toml", &text.replace("seeds", "state_bytes = 512\nseeds"));
    let said = workplace.recall(&["run", "shared.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.err.contains("delta: 512 bytes of state wanted: num_heads = 2 with 512 bytes"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("as it is: 512"), "{}", said.err);
}
