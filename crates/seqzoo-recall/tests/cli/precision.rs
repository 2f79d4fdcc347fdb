//! Training with products in half precision.

use crate::tool::Workplace;

#[test]
fn products_in_half_precision_teach_as_much() {
    let workplace = Workplace::new(400);
    let text = workplace.read("small.toml");
    let mean = |name: &str| {
        let results = workplace.results(name);
        assert!(results.iter().all(|result| !result.diverged));
        results.iter().map(|result| result.accuracy).sum::<f64>() / results.len() as f64
    };
    assert_eq!(workplace.recall(&["run", "small.toml", "--out", "f32"]).code, Some(0));
    let whole = mean("f32");
    // Guesses are right one time in sixteen.
    assert!(whole > 0.4, "{whole}");
    for precision in ["bf16", "f16"] {
        let file = format!("{precision}.toml");
        workplace
            .write(&file, &text.replace("clip_norm", &format!("precision = \"{precision}\"\nclip_norm")));
        assert_eq!(workplace.recall(&["run", &file, "--out", precision]).code, Some(0));
        let half = mean(precision);
        assert!(half > whole - 0.1, "{precision} {half} {whole}");
    }
}

#[test]
fn another_precision_is_refused() {
    let workplace = Workplace::new(10);
    let text = workplace.read("small.toml").replace("clip_norm", "precision = \"f8\"\nclip_norm");
    workplace.write("wrong.toml", &text);
    let said = workplace.recall(&["run", "wrong.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("`f32`, `bf16`, `f16`"), "{}", said.err);
}
