//! Examples of written text as a reader sees them.

use seqzoo_recall::task::Example;

/// A text, and how it ends.
pub struct Reading {
    /// All before the question.
    pub text: String,
    /// The question and the beginning of the answer's sentence.
    pub question: String,
    /// The rest of that sentence, which a model must say.
    pub answer: String,
}

/// Reads an example, and asserts that its answer stands at the end of its input, the last byte aside.
pub fn read(example: &Example) -> Reading {
    let letter = |token: &u32| char::from(u8::try_from(*token).expect("a token is a byte"));
    let (first, _) = example.answers[0];
    let end = first + 1;
    for (index, (position, token)) in example.answers.iter().enumerate() {
        assert_eq!(*position, first + index, "one answer after the other");
        let next = example.tokens.get(position + 1);
        assert!(next.is_none_or(|next| next == token), "what must be predicted comes next");
    }
    let (last, _) = example.answers[example.answers.len() - 1];
    assert_eq!(last + 1, example.tokens.len(), "the last byte is asked for at the end of the input");
    let question = example.question.expect("it asks once");
    Reading {
        text: example.tokens[..question].iter().map(letter).collect(),
        question: example.tokens[question..end].iter().map(letter).collect(),
        answer: example.answers.iter().map(|(_, token)| letter(token)).collect(),
    }
}
