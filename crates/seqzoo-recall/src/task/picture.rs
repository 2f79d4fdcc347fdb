//! Examples for the eye, in words.

use super::Example;
use std::ops::Range;

/// What stands for a token that says nothing.
pub(super) const DOT: &str = "·";

/// The words in a line, dots in a row as one with their number: `·×12`.
pub(super) fn condensed(words: impl Iterator<Item = String>) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for word in words {
        match counted.last_mut() {
            Some((last, count)) if *last == word && word == DOT => *count += 1,
            _ => counted.push((word, 1)),
        }
    }
    let words =
        counted.into_iter().map(|(word, count)| if count > 1 { format!("{word}×{count}") } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The names of the tokens at `positions` in a line; one that is asked points at its answer.
pub(super) fn answered(example: &Example, positions: Range<usize>, name: impl Fn(u32) -> String) -> String {
    let words = positions.map(|position| {
        let token = name(example.tokens[position]);
        match example.answers.iter().find(|(asked, _)| *asked == position) {
            Some((_, answer)) => format!("{token}→{}", name(*answer)),
            None => token,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
