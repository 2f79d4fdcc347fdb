//! Text that comes token by token.

use crate::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};

/// Makes text of tokens, each as soon as it is known what it stands for: a character may be several tokens, and whether a
/// token begins with a space may depend on those before it.
///
/// It can be written with serde and read again, and then goes on as if nothing had happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextStream {
    /// Some tokens before those whose text is awaited.
    before: Vec<usize>,
    /// The tokens whose text has not been given: pieces of a character.
    pieces: Vec<usize>,
}

/// The tokens that a later one may depend on.
const CONTEXT: usize = 8;

/// The tokens that a character may be: its bytes.
const PIECES: usize = 4;

/// What stands for bytes that are no character, or not yet one.
const UNKNOWN: char = '\u{FFFD}';

impl TextStream {
    /// A stream that follows `prompt`, the text of which is known.
    pub fn follow(&mut self, prompt: &[usize]) {
        self.before.append(&mut self.pieces);
        self.before.extend(prompt);
        self.forget();
    }

    /// The text that is known with `token`.
    ///
    /// # Errors
    ///
    /// If the tokens cannot be decoded.
    pub fn push(&mut self, token: usize, vocabulary: &Vocabulary) -> Result<String, String> {
        self.pieces.push(token);
        let all = vocabulary.decode(&self.all())?;
        if all.ends_with(UNKNOWN) && self.pieces.len() < PIECES {
            return Ok(String::new());
        }
        let before = vocabulary.decode(&self.before)?;
        self.follow(&[]);
        Ok(all[common(&before, &all)..].to_string())
    }

    /// The text of what is left.
    ///
    /// # Errors
    ///
    /// If the tokens cannot be decoded.
    pub fn finish(&mut self, vocabulary: &Vocabulary) -> Result<String, String> {
        let (before, all) = (vocabulary.decode(&self.before)?, vocabulary.decode(&self.all())?);
        self.follow(&[]);
        Ok(all[common(&before, &all)..].to_string())
    }

    fn all(&self) -> Vec<usize> {
        self.before.iter().chain(&self.pieces).copied().collect()
    }

    fn forget(&mut self) {
        let old = self.before.len().saturating_sub(CONTEXT);
        self.before.drain(..old);
    }
}

/// The bytes that both texts begin with, in whole characters.
fn common(one: &str, other: &str) -> usize {
    let equal = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    equal.map(|(character, _)| character.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is given after each byte.
    fn streamed(bytes: &[u8]) -> Vec<String> {
        let mut stream = TextStream::default();
        let mut given: Vec<String> = Vec::new();
        for byte in bytes {
            // Through serde each time.
            stream = serde_json::from_str(&serde_json::to_string(&stream).unwrap()).unwrap();
            given.push(stream.push(usize::from(*byte), &Vocabulary::Bytes).unwrap());
        }
        given.push(stream.finish(&Vocabulary::Bytes).unwrap());
        given
    }

    #[test]
    fn every_byte_of_plain_text_is_given_at_once() {
        let text = "a text of more tokens than are remembered";
        let given = streamed(text.as_bytes());
        assert_eq!(given.concat(), text);
        assert!(given[..text.len()].iter().all(|text| text.len() == 1));
    }

    #[test]
    fn a_character_is_given_whole() {
        let text = "häßlich 中文 \u{1F600}\u{1F600} ende";
        assert_eq!(streamed(text.as_bytes()).concat(), text);
        assert_eq!(streamed("h\u{1F600}".as_bytes()), ["h", "", "", "", "\u{1F600}", ""]);
    }

    #[test]
    fn what_is_no_character_is_given_as_such_and_holds_nothing_up() {
        assert_eq!(streamed(b"a\xffb"), ["a", "", "\u{FFFD}b", ""]);
        assert_eq!(streamed(b"a\xe2\x82"), ["a", "", "", "\u{FFFD}"]);
        let given = streamed(&[0xff; 9]);
        assert_eq!(given.concat().chars().count(), 9, "{given:?}");
        assert!(!given[3].is_empty());
    }

    #[test]
    fn a_stream_follows_its_prompt() {
        let mut stream = TextStream::default();
        stream.follow(&"ein ä".bytes().map(usize::from).collect::<Vec<_>>());
        assert_eq!(stream.push(0xc3, &Vocabulary::Bytes).unwrap(), "");
        assert_eq!(stream.push(0xb6, &Vocabulary::Bytes).unwrap(), "ö");
    }
}
