//! Text as it comes, from models of both formats and with vocabularies of all kinds.

use super::tool::{bytes, copy, example, generate, numbers, text};
use burn::tensor::Device;
use seqzoo::checkpoint;
use seqzoo::models::Sampling;
use std::io::{BufReader, Read};
use std::process::Stdio;

#[test]
fn text_goes_to_stdout_and_all_else_to_stderr() {
    let said = generate(&bytes(), &["--prompt", "The state ", "--max-tokens", "40"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(!said.out.is_empty() && said.out.chars().count() <= 40);
    assert!(said.err.contains("mamba2 of transformers"), "{}", said.err);
    assert!(said.err.contains("10 tokens read") && said.err.contains("40 generated"), "{}", said.err);
    assert!(said.err.contains("tokens/s") && said.err.contains("a state of "), "{}", said.err);
}

#[test]
fn tokens_are_those_of_the_library() {
    let model = checkpoint::read(bytes(), &Device::flex()).unwrap();
    let prompt: Vec<usize> = "The state ".bytes().map(usize::from).collect();
    let list = |tokens: &[usize], between: &str| {
        tokens.iter().map(usize::to_string).collect::<Vec<_>>().join(between)
    };
    let greedy: Vec<usize> = model.generate(&prompt, Sampling::Greedy).unwrap().take(30).collect();
    let arguments = ["--tokens", &list(&prompt, ","), "--max-tokens", "30", "--ids"];
    assert_eq!(text(&bytes(), &arguments), list(&greedy, " ") + "\n");

    let sampling = Sampling::Random { temperature: 0.9, top_k: Some(20), top_p: Some(0.95), seed: 4 };
    let drawn: Vec<usize> = model.generate(&prompt, sampling).unwrap().take(30).collect();
    let options = ["--temperature", "0.9", "--top-k", "20", "--top-p", "0.95", "--seed", "4"];
    let found = text(&bytes(), &[&arguments[..], &options].concat());
    assert_eq!(found, list(&drawn, " ") + "\n");
    assert_ne!(drawn, greedy);
}

/// As `tests/peers/transformers_mamba2.py` prints it.
#[test]
fn text_is_that_of_transformers() {
    let found = text(&bytes(), &["--prompt", "# The recall suite\n\n", "--max-tokens", "100"]);
    let wanted = "Softmax attention of the same in the same in the state of the same in the state of the same in the s";
    assert_eq!(found, wanted);
}

/// One rounding of the weights to three digits leaves the first words as they are.
#[test]
fn weights_in_half_precision_are_half_as_large_and_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    checkpoint::read(bytes(), &Device::flex()).unwrap().save(directory.path()).unwrap();
    let prompt = ["--prompt", "The state ", "--max-tokens", "12"];
    let whole = generate(&bytes(), &prompt);
    assert!(whole.err.contains("parameters in 0.3 MB"), "{}", whole.err);
    for directory in [bytes().as_path(), directory.path()] {
        for precision in ["bf16", "f16"] {
            let half = generate(directory, &[&prompt[..], &["--precision", precision]].concat());
            assert!(half.err.contains("parameters in 0.1 MB"), "{}", half.err);
            assert_eq!(half.out, whole.out);
        }
        assert_eq!(generate(directory, &[&prompt[..], &["--precision", "stored"]].concat()).out, whole.out);
    }
}

#[test]
fn a_model_saved_by_this_library_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    checkpoint::read(bytes(), &Device::flex()).unwrap().save(directory.path()).unwrap();
    let arguments = ["--prompt", "The state ", "--max-tokens", "30"];
    assert_eq!(text(directory.path(), &arguments), text(&bytes(), &arguments));
    // A save that was interrupted before its last file.
    std::fs::remove_file(directory.path().join("config.json")).unwrap();
    assert_eq!(text(directory.path(), &arguments), text(&bytes(), &arguments));
}

#[test]
fn numbers_where_there_is_no_text() {
    let found = text(&numbers(), &["--tokens", "55,16,25", "--max-tokens", "5", "--stop", ""]);
    assert_eq!(found.split_whitespace().filter(|word| word.parse::<usize>().is_ok()).count(), 5, "{found}");
}

/// A tokenizer of the words `w0` to `w63`.
fn words() -> String {
    let words: Vec<String> = (0..64).map(|number| format!("\"w{number}\": {number}")).collect();
    format!(
        r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": {{"type": "Whitespace"}}, "post_processor": null, "decoder": null,
            "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "w0"}}}}"#,
        words.join(", ")
    )
}

#[test]
fn a_tokenizer_in_the_directory_is_used() {
    let directory = copy(&numbers());
    std::fs::write(directory.path().join("tokenizer.json"), words()).unwrap();
    let ids = text(&numbers(), &["--tokens", "55,16,25", "--max-tokens", "12"]);
    let wanted: String = ids.split_whitespace().map(|id| format!(" w{id}")).collect();
    let found = text(directory.path(), &["--prompt", "w55 w16 w25", "--max-tokens", "12"]);
    assert_eq!(found, wanted, "the spaces between words are those between tokens");

    std::fs::write(directory.path().join("tokenizer.json"), "{\"model\": 3}").unwrap();
    let said = generate(directory.path(), &["--prompt", "w1"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("tokenizer.json: "), "{}", said.err);
}

#[test]
fn a_stop_token_ends_the_text_and_is_not_written() {
    let all = text(&bytes(), &["--prompt", "The state ", "--max-tokens", "60"]);
    let stop = all.as_bytes()[9];
    let end = all.bytes().position(|byte| byte == stop).unwrap();
    let found =
        text(&bytes(), &["--prompt", "The state ", "--max-tokens", "60", "--stop", &stop.to_string()]);
    assert_eq!(found, all[..end]);

    // `eos_token_id` counts where nothing is said.
    let directory = copy(&bytes());
    let config = directory.path().join("config.json");
    let fields = std::fs::read_to_string(&config).unwrap();
    let fields = fields.replacen('{', &format!("{{\"eos_token_id\": [{stop}, 255],"), 1);
    std::fs::write(&config, fields).unwrap();
    let arguments = ["--prompt", "The state ", "--max-tokens", "60"];
    assert_eq!(text(directory.path(), &arguments), all[..end]);
    assert_eq!(text(directory.path(), &[&arguments[..], &["--stop", ""]].concat()), all);
}

#[test]
fn text_comes_before_the_end() {
    let mut child = example("generate")
        .args(["--prompt", "The state ", "--max-tokens", "1000000000", "--checkpoint"])
        .arg(bytes())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 40];
    BufReader::new(child.stdout.take().unwrap()).read_exact(&mut first).unwrap();
    // The reader has gone, and so ends the text.
    assert!(child.wait().unwrap().success());
    let all = text(&bytes(), &["--prompt", "The state ", "--max-tokens", "60"]);
    assert!(all.as_bytes().starts_with(&first));
}
