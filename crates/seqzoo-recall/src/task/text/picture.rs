//! Text for the eye.

use crate::task::Example;
use std::ops::Range;

/// Longer filler is shortened.
const LONG: usize = 160;
/// To so many bytes at each end.
const SHOWN: usize = 40;

/// The text before the question, but for the middle of long filler between needles; the question; the answer.
/// `needles` finds the needles to show in the text, given the question.
pub(in crate::task) fn picture(
    example: &Example,
    needles: impl Fn(&str, &str) -> Vec<Range<usize>>,
) -> String {
    let letters = |tokens: &mut dyn Iterator<Item = u32>| tokens.map(|token| token as u8 as char).collect();
    let end = example.answers.first().map_or(example.tokens.len(), |(position, _)| position + 1);
    let text: String = letters(&mut example.tokens[..end].iter().copied());
    let answer: String = letters(&mut example.answers.iter().map(|(_, token)| *token));
    let question = example.question.unwrap_or(end);

    let (text, question) = text.split_at(question);

    // The first line says what to do.
    let mut told = text.find('\n').map_or(0, |end| end + 1);
    let mut shown = text[..told].to_string();
    for needle in needles(text, question) {
        shown += &shortened(&text[told..needle.start]);
        shown += &text[needle.clone()];
        told = needle.end;
    }
    shown += &shortened(&text[told..]);
    let shown = shown.trim_end().replace('\n', "\n            ");
    format!("  text      {shown}\n  question  {question}\n  answer    {answer:?}\n")
}

/// Filler, of which a long middle is a count of bytes.
fn shortened(filler: &str) -> String {
    if filler.len() <= LONG {
        return filler.into();
    }
    let (first, last) = (&filler[..SHOWN], &filler[filler.len() - SHOWN..]);
    format!("{first}[… {} bytes …]{last}", filler.len() - 2 * SHOWN)
}
