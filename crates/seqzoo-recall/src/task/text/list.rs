//! Lists in a sentence, as RULER writes them.

const COMMA: &str = ", ";
const LAST: &str = ", and ";

/// `a`, `a, and b`, `a, b, and c`.
pub(in crate::task) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).into(),
        [first @ .., last] => format!("{}{LAST}{last}", first.join(COMMA)),
    }
}

/// The bytes of a list of `count` words of `length` bytes.
pub(in crate::task) fn list_length(count: usize, length: usize) -> usize {
    let words = count.saturating_mul(length);
    match count {
        0 | 1 => words,
        _ => words.saturating_add((count - 2).saturating_mul(COMMA.len())).saturating_add(LAST.len()),
    }
}
