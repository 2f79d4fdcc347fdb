//! Conversations that are parked in a file, resumed and forked.

use super::tool::{bytes, copy, example, generate, said, text};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROMPT: [&str; 2] = ["--prompt", "The state "];
const SAMPLED: [&str; 6] = ["--temperature", "1.5", "--top-p", "0.99", "--seed", "3"];

/// The text of `parts`, of so many tokens each, every one a process of its own.
fn in_parts(parts: &[&str], options: &[&str], state: &Path) -> String {
    let mut all = String::new();
    for (index, part) in parts.iter().enumerate() {
        let mut arguments = vec!["--max-tokens", part, "--save-state", state.to_str().unwrap()];
        match index {
            0 => arguments.extend(PROMPT.iter().chain(options)),
            _ => arguments.extend(["--load-state", state.to_str().unwrap()]),
        }
        all += &text(&bytes(), &arguments);
    }
    all
}

#[test]
fn a_parked_conversation_goes_on_as_if_it_had_not_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("a.state");
    // Sampled this warm, the model writes pieces of characters that are none.
    for options in [&[][..], &SAMPLED] {
        let whole = text(&bytes(), &[&PROMPT[..], &["--max-tokens", "90"], options].concat());
        for parts in [&["30", "60"][..], &["0", "1", "1", "88"], &["25", "0", "1", "2", "3", "4", "5", "50"]]
        {
            let last = ["--load-state", state.to_str().unwrap(), "--max-tokens", "0"];
            let parked = in_parts(parts, options, &state);
            // What is left of a character comes at the very end.
            assert_eq!(parked + &text(&bytes(), &last), whole, "{parts:?} {options:?}");
        }
    }
}

#[test]
fn a_conversation_is_forked() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("a.state");
    in_parts(&["20"], &SAMPLED, &state);
    let load = ["--max-tokens", "40", "--load-state", state.to_str().unwrap()];
    let fork = |options: &[&str]| text(&bytes(), &[&load[..], options].concat());
    assert_eq!(fork(&[]), fork(&[]), "a file is read, not used up");
    assert_ne!(fork(&[]), fork(&["--seed", "9"]));
    assert_ne!(fork(&[]), fork(&["--temperature", "0"]));
    // More to read, as if it had been one text.
    let whole = text(&bytes(), &["--prompt", "The state of a layer", "--max-tokens", "30"]);
    in_parts(&["0"], &[], &state);
    assert_eq!(
        text(&bytes(), &[&load[..2], &load[2..], &["--prompt", "of a layer"]].concat())[..20],
        whole[..20]
    );
}

#[test]
fn a_conversation_with_another_model_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("a.state");
    in_parts(&["5"], &[], &state);
    // The same shapes, another number.
    let other = copy(&bytes());
    let weights = other.path().join("model.safetensors");
    let mut contents = std::fs::read(&weights).unwrap();
    let last = contents.len() - 2;
    contents[last] ^= 1;
    std::fs::write(&weights, contents).unwrap();
    let load = ["--load-state", state.to_str().unwrap()];
    let said = generate(other.path(), &load);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("is a conversation with another model"), "{}", said.err);
    // Other shapes.
    let said = generate(&super::tool::numbers(), &load);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("a.state does not fit: "), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn ctrl_c_parks_the_conversation() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("a.state");
    let mut child = example("generate")
        .args(PROMPT)
        .args(["--max-tokens", "1000000000", "--checkpoint"])
        .arg(bytes())
        .arg("--save-state")
        .arg(&state)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = vec![0; 20];
    stdout.read_exact(&mut first).unwrap();
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    stdout.read_to_end(&mut first).unwrap();
    let ended = said(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let first = String::from_utf8(first).unwrap();
    let load = ["--load-state", state.to_str().unwrap(), "--max-tokens", "20"];
    let count = (first.len() + 20).to_string();
    let whole = text(&bytes(), &[&PROMPT[..], &["--max-tokens", &count]].concat());
    assert_eq!(first + &text(&bytes(), &load), whole);
}

/// Whenever the process is killed, the file is the old conversation or the new one.
#[test]
fn a_kill_leaves_the_old_conversation_or_the_new() {
    let directory = tempfile::tempdir().unwrap();
    let (state, old, new) =
        (directory.path().join("a.state"), directory.path().join("old"), directory.path().join("new"));
    in_parts(&["3"], &[], &old);
    let begin = Instant::now();
    in_parts(&["9"], &[], &new);
    let time = begin.elapsed();
    let next = |path: &Path| text(&bytes(), &["--max-tokens", "20", "--load-state", path.to_str().unwrap()]);
    let (old_text, new_text) = (next(&old), next(&new));
    assert_ne!(old_text, new_text);
    let mut outcomes = [0; 2];
    for part in 0..16u32 {
        std::fs::copy(&old, &state).unwrap();
        let mut child = example("generate")
            .args(PROMPT)
            .args(["--max-tokens", "9", "--checkpoint"])
            .arg(bytes())
            .arg("--save-state")
            .arg(&state)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From the beginning to some time after the usual end.
        std::thread::sleep(time.mul_f64(f64::from(part) / 10.0).min(Duration::from_secs(20)));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = next(&state);
        assert!(found == old_text || found == new_text);
        outcomes[usize::from(found == new_text)] += 1;
    }
    assert!(outcomes[0] > 0, "{outcomes:?}");
}
