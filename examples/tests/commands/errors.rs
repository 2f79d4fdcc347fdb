//! What cannot be done is said in one sentence, and nothing is lost.

use super::tool::{bytes, copy, generate, numbers, text};
use burn::tensor::Device;
use seqzoo::{MixerState, checkpoint};
use std::path::Path;

/// `generate` ends with 2, without a word on stdout, and its last line is one sentence with `words`.
#[track_caller]
fn refused(checkpoint: &Path, arguments: &[&str], words: &str) {
    let said = generate(checkpoint, arguments);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {}", said.err);
    assert!(!said.err.contains("panicked"), "{arguments:?}: {}", said.err);
    let last = said.err.lines().last().unwrap_or_default();
    assert!(last.starts_with("generate: ") && last.contains(words), "{arguments:?}: {}", said.err);
}

#[test]
fn command_lines_that_say_nothing_that_can_be_done() {
    for (arguments, words) in [
        (&["--prompt", ""][..], "the prompt is empty"),
        (&["--tokens", ""], "the prompt is empty"),
        (&["--tokens", "1,x"], "--tokens: `x` is no token"),
        (&["--tokens", "256"], "the token 256, but the vocabulary has 256 tokens"),
        (&["--prompt", "a", "--stop", "-"], "--stop: `-` is no token"),
        (&["--prompt", "a", "--temperature=-1"], "the temperature is -1"),
        (&["--prompt", "a", "--temperature", "NaN"], "the temperature is NaN"),
        (&["--prompt", "a", "--top-k", "0"], "top_k is 0"),
        (&["--prompt", "a", "--top-p", "1.5"], "top_p is 1.5"),
        (&["--prompt", "a", "--save-state", "/"], "is a directory"),
        (&["--prompt", "a", "--save-state", "/no/such/file"], "there is no directory /no/such"),
        (&["--load-state", "/no/such/file"], "the state file /no/such/file: "),
    ] {
        refused(&bytes(), arguments, words);
    }
    // What clap says of them.
    for arguments in [
        &[][..],
        &["--prompt", "a", "--tokens", "1"],
        &["--prompt", "a", "--max-tokens", "-1"],
        &["--prompt", "a", "--seed", "x"],
        &["--prompt", "a", "--unknown"],
    ] {
        let said = generate(&bytes(), arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn a_text_for_a_model_without_one() {
    refused(&numbers(), &["--prompt", "a"], "give --tokens instead of --prompt");
}

#[test]
fn directories_without_a_model() {
    let directory = tempfile::tempdir().unwrap();
    let prompt = ["--prompt", "a"];
    refused(&directory.path().join("none"), &prompt, "there is no such directory");
    refused(directory.path(), &prompt, "config.json");
    let copied = copy(&bytes());
    let config = copied.path().join("config.json");
    for (text, words) in [
        ("{", "config.json: "),
        ("{\"model_type\": \"bert\"}", "no architecture `bert`"),
        ("[]", "config.json: "),
    ] {
        std::fs::write(&config, text).unwrap();
        refused(copied.path(), &prompt, words);
    }
    std::fs::write(&config, "{\"pattern\": []}").unwrap();
    refused(copied.path(), &prompt, "config.json: ");
    let copied = copy(&bytes());
    let weights = copied.path().join("model.safetensors");
    let contents = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &contents[..contents.len() / 2]).unwrap();
    refused(copied.path(), &prompt, "model.safetensors");
}

#[test]
fn files_that_hold_no_conversation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.state");
    let name = path.to_str().unwrap();
    text(&bytes(), &["--prompt", "The state ", "--max-tokens", "3", "--save-state", name]);
    let whole = std::fs::read(&path).unwrap();
    for end in [0, 1, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..end]).unwrap();
        refused(&bytes(), &["--load-state", name], "a.state is not a whole state file");
    }

    let device = Device::flex();
    let model = checkpoint::read(bytes(), &device).unwrap();
    let state = model.init_state(1, &device);
    state.save(&path).unwrap();
    refused(&bytes(), &["--load-state", name], "holds a state alone");
    for note in ["", "{}", "[1]", "null", "{\"model\": 3}"] {
        state.save_with_note(&path, note).unwrap();
        refused(&bytes(), &["--load-state", name], "does not hold a conversation");
    }
    let (_, note) = model.init_state(1, &device).load_with_note(written(&whole, &path), &device).unwrap();
    let note = note.unwrap();
    for (from, to, words) in [
        ("\"drawn\":0", "\"drawn\":-1", "does not hold a conversation"),
        (
            "\"Greedy\"",
            "{\"Random\":{\"temperature\":0,\"top_k\":null,\"top_p\":null,\"seed\":1}}",
            "the temperature is 0",
        ),
        ("\"pending\":[", "\"pending\":[999,", "the token 999"),
        ("\"pieces\":[", "\"more\":[],\"pieces\":[", "does not hold a conversation"),
        ("\"model\":\"", "\"model\":\"0", "another model"),
    ] {
        let changed = note.replacen(from, to, 1);
        assert_ne!(changed, note, "{from}");
        state.save_with_note(&path, &changed).unwrap();
        refused(&bytes(), &["--load-state", name], words);
    }
    let mut far = model.init_state(1, &device);
    far.position = 1 << 53;
    far.save_with_note(&path, &note).unwrap();
    refused(&bytes(), &["--load-state", name], "beyond which nothing is counted");
    model.init_state(2, &device).save_with_note(&path, &note).unwrap();
    refused(&bytes(), &["--load-state", name], "is of 2 sequences");
}

/// `path`, with `contents`.
fn written<'a>(contents: &[u8], path: &'a Path) -> &'a Path {
    std::fs::write(path, contents).unwrap();
    path
}
