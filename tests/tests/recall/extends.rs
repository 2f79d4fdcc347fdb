//! Experiments that extend shipped ones.

use seqzoo_recall::experiment::{Experiment, SHIPPED};
use serde_json::Value;

/// An experiment as data, but for `parts`.
fn without(experiment: &Experiment, parts: &[&str]) -> Value {
    let mut data = serde_json::to_value(experiment).unwrap();
    data.as_object_mut().unwrap().retain(|part, _| !parts.contains(&part.as_str()));
    data
}

#[test]
fn it_equals_the_base_but_for_its_own_parts() {
    let mut found = 0;
    for shipped in SHIPPED {
        let own: toml::Table = toml::from_str(shipped.text).unwrap();
        let Some(base) = own.get("extends").and_then(toml::Value::as_str) else { continue };
        let [variant, base] = [shipped.name, base].map(|name| Experiment::shipped(name).unwrap().unwrap());
        let own: Vec<&str> = own.keys().map(String::as_str).collect();
        assert_eq!(without(&variant, &own), without(&base, &own), "{}", shipped.name);
        assert_eq!(variant.name, shipped.name);
        assert_ne!(variant.description, base.description);
        found += 1;
    }
    assert_eq!(found, 10);

    let base = Experiment::shipped("needle").unwrap().unwrap();
    let mine =
        "extends = \"needle\"\nname = \"mine\"\nseeds = [5, 6]\n[model]\nwidths = [32]\nlayer_norm = true\n";
    let mine = Experiment::parse(mine).unwrap();
    let own = ["name", "seeds", "model"];
    assert_eq!(without(&mine, &own), without(&base, &own));
    assert_eq!((mine.name.as_str(), mine.seeds), ("mine", vec![5, 6]));
    assert!(mine.model.layer_norm && mine.model.widths == [32], "a part is a whole one");
}

#[test]
fn what_cannot_be_extended_is_refused_with_a_sentence() {
    for unknown in ["\"nobody\"", "3", "\"needle.toml\""] {
        let problem = Experiment::parse(&format!("extends = {unknown}\nname = \"mine\"\n")).unwrap_err();
        let sentence = format!("`extends = {unknown}` names no shipped experiment; they are quick, tiny");
        assert!(problem.contains(&sentence), "{problem}");
    }
    let problem = Experiment::parse("extends = \"needle\"\nname = \"mine\"\nseed = [5]\n").unwrap_err();
    assert!(problem.contains("unknown field `seed`"), "{problem}");
    let problem = Experiment::parse("extends = \"needle\"\nname = \"mine\"\nseeds = []\n").unwrap_err();
    assert!(problem.contains("`seeds` is empty"), "{problem}");
}
