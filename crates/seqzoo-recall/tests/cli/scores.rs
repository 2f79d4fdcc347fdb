//! Models that are kept, and scored without training.

use super::tool::Workplace;
use std::path::PathBuf;

/// The directories of the models that were kept under `out`.
fn models(workplace: &Workplace, out: &str) -> Vec<PathBuf> {
    let runs = std::fs::read_dir(workplace.path(out).join("runs")).unwrap();
    runs.map(|run| run.unwrap().path().join("model")).filter(|model| model.exists()).collect()
}

#[test]
fn a_model_that_was_kept_is_scored_as_when_it_was_trained() {
    let workplace = Workplace::new(60);
    let said = workplace.recall(&["run", "small.toml", "--out", "out", "--keep-models"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let trained = workplace.results("out");
    let models = models(&workplace, "out");
    assert_eq!(models.len(), 2);
    for (index, model) in models.iter().enumerate() {
        let out = format!("scored-{index}");
        let said =
            workplace.recall(&["score", "small.toml", "--model", model.to_str().unwrap(), "--out", &out]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.contains("not trained"), "{}", said.out);
        let [scored] = &workplace.results(&out)[..] else { panic!("one model") };
        assert!(trained.iter().any(|result| {
            (&result.slices, result.parameters, result.state)
                == (&scored.slices, scored.parameters, scored.state)
        }));
        assert!(workplace.path(&out).join("report.html").exists());
    }
    assert!(self::models(&workplace, "out").len() == 2, "they are left as they are");
}

#[test]
fn models_that_cannot_be_scored_are_refused_with_a_sentence() {
    let workplace = Workplace::new(5);
    workplace.recall(&["run", "small.toml", "--out", "out", "--keep-models"]);
    let model = models(&workplace, "out").remove(0);
    let model = model.to_str().unwrap();
    let said = workplace.recall(&["score", "quick", "--model", model]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("knows 36 tokens, but the task `mqar` has 320"), "{}", said.err);
    let said = workplace.recall(&["score", "small.toml", "--model", "nowhere"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("nowhere"), "{}", said.err);
    let said = workplace.recall(&["score", "small.toml"]);
    assert_eq!(said.code, Some(2));
}
