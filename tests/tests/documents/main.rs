//! README and book: their programs are compiled, with the dependencies that the README gives.

mod licences;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a document: their language with its attributes, and their text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.trim().into(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is left open");
    found
}

/// The documents that readers copy programs from.
fn documents() -> Vec<String> {
    let mut all = vec!["README.md".to_string(), "CONTRIBUTING.md".into()];
    for folder in ["docs", "docs/src"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        all.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    all
}

fn dependencies(manifest: &str) -> Table {
    let table: Table = manifest.parse().unwrap();
    table["dependencies"].as_table().unwrap().clone()
}

/// What decides which code a dependency has, whether it is named by its version or by its path.
fn choice(dependency: &Value) -> (Option<&Value>, Option<&Value>, BTreeSet<&str>) {
    let features = dependency.get("features").and_then(Value::as_array).into_iter().flatten();
    let version = dependency.get("path").is_none().then(|| dependency.get("version")).flatten();
    (version, dependency.get("default-features"), features.map(|feature| feature.as_str().unwrap()).collect())
}

#[test]
fn the_programs_are_compiled_with_the_dependencies_of_the_readme() {
    let (_, lines) = blocks(&read("README.md")).into_iter().find(|(language, _)| language == "toml").unwrap();
    let (given, used) = (dependencies(&lines), dependencies(&read("docs/Cargo.toml")));
    assert_eq!(given.keys().collect::<BTreeSet<_>>(), used.keys().collect::<BTreeSet<_>>());
    for (name, dependency) in &given {
        assert_eq!(choice(dependency), choice(&used[name]), "`{name}`");
    }
}

#[test]
fn the_readme_names_the_burn_of_the_workspace() {
    let (_, lines) = blocks(&read("README.md")).into_iter().find(|(language, _)| language == "toml").unwrap();
    let workspace: Table = read("Cargo.toml").parse().unwrap();
    let burn = &workspace["workspace"]["dependencies"]["burn"];
    assert_eq!(dependencies(&lines)["burn"]["version"], burn["version"]);
}

#[test]
fn every_document_with_a_program_is_compiled() {
    let compiled = read("docs/programs.rs");
    for document in documents() {
        let programs = blocks(&read(&document)).iter().filter(|(language, _)| is_program(language)).count();
        let path = document.strip_prefix("docs/").map_or(format!("../{document}"), str::to_string);
        let is_compiled = compiled.contains(&format!(": \"{path}\","));
        assert!(
            programs == 0 || is_compiled,
            "{document} has {programs} programs; name it in docs/programs.rs"
        );
    }
}

#[test]
fn every_block_names_its_language_and_every_program_is_run() {
    for document in documents() {
        for (language, block) in blocks(&read(&document)) {
            let start = block.lines().next().unwrap_or_default();
            let known =
                ["rust", "toml", "text"].iter().any(|known| language.split(',').next() == Some(known));
            assert!(known, "{document}: the block that begins `{start}` is `{language}`");
            // What is not compiled says why, in its first line.
            let excused = !language.contains(',') || start.starts_with("// Not compiled: ");
            assert!(excused, "{document}: the block that begins `{start}` is `{language}` without a reason");
        }
    }
}

fn is_program(language: &str) -> bool {
    language.split(',').next() == Some("rust")
}
