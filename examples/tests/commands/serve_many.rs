//! Many requests together, each answered as if it were alone.

use super::tool::{Said, bytes, example, numbers, said};
use burn::tensor::Device;
use seqzoo::checkpoint;
use seqzoo::models::Sampling;
use serde_json::{Value, json};
use std::path::Path;

fn serve(checkpoint: &Path, requests: &str, arguments: &[&str]) -> Said {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("requests.jsonl");
    std::fs::write(&path, requests).unwrap();
    let mut command = example("serve_many");
    command.arg("--checkpoint").arg(checkpoint).arg("--requests").arg(path).args(arguments);
    said(command.output().unwrap())
}

fn lines(requests: &[Value]) -> String {
    requests.iter().map(|request| format!("{request}\n")).collect()
}

#[test]
fn every_answer_is_the_one_that_its_request_gets_alone() {
    let texts =
        ["The state ", "A", "One token at a time, and another, ", "# Layers\n\n", "key", "memory of "];
    let requests: Vec<(&str, usize)> =
        (0..14).map(|number| (texts[number % texts.len()], (number * 7 + 1) % 23)).collect();
    let written: Vec<Value> =
        requests.iter().map(|(prompt, count)| json!({ "prompt": prompt, "max_tokens": count })).collect();
    let model = checkpoint::read(bytes(), &Device::flex()).unwrap();
    let alone: Vec<Vec<usize>> = requests
        .iter()
        .map(|(prompt, count)| {
            let prompt: Vec<usize> = prompt.bytes().map(usize::from).collect();
            model.generate(&prompt, Sampling::Greedy).unwrap().take(*count).collect()
        })
        .collect();
    for streams in ["1", "2", "5", "14", "40", "1,3,9"] {
        let said = serve(&bytes(), &lines(&written), &["--streams", streams]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        let answers: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), requests.len());
        for (number, (answer, alone)) in answers.iter().zip(&alone).enumerate() {
            assert_eq!(answer["request"], number + 1);
            assert_eq!(answer["tokens"], json!(alone), "request {number} in {streams} streams");
            let text: Vec<u8> = alone.iter().map(|token| *token as u8).collect();
            assert_eq!(answer["text"], String::from_utf8_lossy(&text).as_ref());
        }
        assert_eq!(
            said.err.lines().filter(|line| line.starts_with('|')).count(),
            2 + streams.split(',').count()
        );
    }
}

#[test]
fn a_stop_token_ends_an_answer() {
    let request = lines(&[json!({ "prompt": "The state ", "max_tokens": 40 })]);
    let tokens = |arguments: &[&str]| -> Vec<u64> {
        let said = serve(&bytes(), &request, arguments);
        let answer: Value = serde_json::from_str(&said.out).unwrap();
        answer["tokens"].as_array().unwrap().iter().map(|token| token.as_u64().unwrap()).collect()
    };
    let all = tokens(&[]);
    let end = all.iter().position(|token| *token == all[9]).unwrap();
    assert_eq!(tokens(&["--stop", &all[9].to_string()]), all[..end]);
}

#[test]
fn answers_go_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("answers.jsonl");
    // A model without text, and an empty line.
    let requests = "{\"tokens\": [1, 2]}\n\n{\"tokens\": [3], \"max_tokens\": 2}\n";
    let stdout = serve(&numbers(), requests, &["--stop", ""]);
    let said = serve(&numbers(), requests, &["--stop", "", "--out", path.to_str().unwrap()]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{}", said.err);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), stdout.out);
    assert_eq!(stdout.out.lines().count(), 2);
}

#[test]
fn what_cannot_be_served_is_said_in_a_sentence() {
    let hybrid = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/16_model_recurrent_gemma");
    let text = "{\"prompt\": \"a\"}";
    for (checkpoint, requests, arguments, words) in [
        (hybrid, "{\"tokens\": [1]}", &[][..], "give them one by one"),
        (bytes(), "", &[], "it holds no request"),
        (bytes(), "{\"prompt\": \"a\"}\n{", &[], "requests.jsonl, line 2: "),
        (bytes(), "{\"prompt\": \"\"}", &[], "line 1: the prompt is empty"),
        (bytes(), "{\"prompt\": \"a\", \"tokens\": [1]}", &[], "either `prompt` or `tokens`"),
        (bytes(), "{\"max_tokens\": 3}", &[], "either `prompt` or `tokens`"),
        (bytes(), "{\"prompt\": \"a\", \"maximum\": 3}", &[], "unknown field `maximum`"),
        (bytes(), "{\"tokens\": [256]}", &[], "the token 256, but the vocabulary has 256 tokens"),
        (numbers(), text, &[], "give `tokens` instead of `prompt`"),
        (bytes(), text, &["--stop", "x"], "--stop: `x` is no token"),
        (bytes(), text, &["--out", "/no/such/file"], "--out /no/such/file: "),
        (numbers().join("none"), text, &[], "there is no such directory"),
    ] {
        let said = serve(&checkpoint, requests, arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{words}: {}", said.err);
        let last = said.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("serve_many: ") && last.contains(words), "{words}: {}", said.err);
    }
    for streams in ["0", "x", "99999", ""] {
        assert_eq!(serve(&bytes(), text, &["--streams", streams]).code, Some(2), "{streams}");
    }
}
