//! The filler of passkey and of RULER's noise.

/// A line of it.
const LINE: &str =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n";

/// `length` bytes of it, without ends of lines.
pub(in crate::task) fn grass(length: usize) -> String {
    let line = LINE.replace('\n', " ");
    line.chars().cycle().take(length).collect()
}

/// Its sentences, each with what separates it from the next, without end.
pub(in crate::task) fn grass_sentences() -> impl Iterator<Item = String> {
    LINE.split_inclusive(". ").cycle().map(String::from)
}
