//! An example from its text.

use crate::task::Example;

/// The vocabulary: every byte is a token.
pub(in crate::task) const BYTES: usize = 256;

/// The example whose input is `prompt` and `answer` but for its last byte. Each byte of the answer must be predicted
/// from all that stands before it. The question begins at the byte `question` of the prompt.
///
/// The answer's bytes are given one by one (teacher forcing), and the example is right only if all are predicted. This
/// is what greedy decoding scores: the first byte depends on the prompt alone, and as long as all bytes so far are
/// right, those that a model would read of its own are those given. Where one is wrong, both have failed.
pub(in crate::task) fn example(prompt: &str, question: usize, answer: &str) -> Example {
    let before = prompt.len() - 1;
    let answers = answer.bytes().enumerate().map(|(index, byte)| (before + index, u32::from(byte)));
    let input = prompt.bytes().chain(answer.bytes().take(answer.len() - 1));
    Example { tokens: input.map(u32::from).collect(), answers: answers.collect(), question: Some(question) }
}
