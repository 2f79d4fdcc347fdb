//! Which form every contestant's layers took.

use super::tool::Workplace;

#[test]
fn every_contestant_says_what_its_layers_ran() {
    let workplace = Workplace::new(5);
    let said = workplace.recall(&["run", "small.toml", "--out", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for result in workplace.results("out") {
        assert!(result.forms[0].starts_with("base_conv: native CPU kernel"), "{:?}", result.forms);
        let layer = if result.contestant == "gated" { "gated_linear_attention" } else { "softmax_attention" };
        assert!(result.forms[1].starts_with(&format!("{layer}: native CPU kernel")), "{:?}", result.forms);
    }
    let markdown = workplace.read("out/report.md");
    let line = |name: &str| {
        let lines: Vec<&str> = markdown.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        lines[0]
    };
    assert!(line("| layers of gated").contains("gated_linear_attention: native CPU kernel"), "{markdown}");
    assert!(line("| layers of attention").contains("softmax_attention: native CPU kernel"), "{markdown}");
    assert!(!line("| device").contains("kernel"), "the device says nothing of a layer: {markdown}");
}

#[test]
fn a_result_from_before_forms_were_written_is_still_read() {
    let workplace = Workplace::new(5);
    workplace.recall(&["run", "small.toml", "--out", "out"]);
    let old = |text: &str| {
        let mut result: serde_json::Value = serde_json::from_str(text).unwrap();
        result.as_object_mut().unwrap().remove("forms").expect("a result says its forms");
        result["machine"]["kernels"] = "native CPU kernels".into();
        result.to_string()
    };
    for entry in std::fs::read_dir(workplace.path("out/runs")).unwrap() {
        let path = entry.unwrap().path().join("result.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, old(&text)).unwrap();
    }
    let said = workplace.recall(&["report", "out"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let markdown = workplace.read("out/report.md");
    assert!(!markdown.contains("layers of") && !markdown.contains("kernels"), "{markdown}");
}
