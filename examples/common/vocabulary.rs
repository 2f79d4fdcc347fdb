//! Tokens as text.

use seqzoo::files;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use tokenizers::Tokenizer;

/// What text the tokens of a model stand for.
pub enum Vocabulary {
    /// 256 tokens: the bytes.
    Bytes,
    /// Those of a `tokenizer.json`.
    Tokenizer(Box<Tokenizer>),
}

impl Vocabulary {
    /// That of the model in `directory`, which knows `size` tokens: its `tokenizer.json`; the bytes where there is none and
    /// they are 256; else none.
    ///
    /// # Errors
    ///
    /// If there is a `tokenizer.json` that cannot be read.
    pub fn of(directory: &Path, size: usize) -> Result<Option<Self>, String> {
        let path = directory.join("tokenizer.json");
        if !path.exists() {
            return Ok((size == 256).then_some(Self::Bytes));
        }
        let refuse = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = files::read(&path).map_err(|error| refuse(&error))?;
        let tokenizer = guarded(|| Tokenizer::from_bytes(bytes)).map_err(|error| refuse(&error))?;
        Ok(Some(Self::Tokenizer(Box::new(tokenizer))))
    }

    /// The tokens of `text`; with those that begin a text where it is the `first`.
    ///
    /// # Errors
    ///
    /// What the tokenizer says.
    pub fn encode(&self, text: &str, first: bool) -> Result<Vec<usize>, String> {
        match self {
            Self::Bytes => Ok(text.bytes().map(usize::from).collect()),
            Self::Tokenizer(tokenizer) => {
                let encoded = guarded(|| tokenizer.encode(text, first))
                    .map_err(|error| format!("the prompt: {error}"))?;
                Ok(encoded.get_ids().iter().map(|token| *token as usize).collect())
            }
        }
    }

    /// The text of `tokens`, with U+FFFD for what is no character; those that stand for no text are passed over.
    ///
    /// # Errors
    ///
    /// What the tokenizer says.
    pub fn decode(&self, tokens: &[usize]) -> Result<String, String> {
        match self {
            Self::Bytes => {
                let bytes: Vec<u8> = tokens.iter().filter_map(|token| u8::try_from(*token).ok()).collect();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Self::Tokenizer(tokenizer) => {
                let known = tokens.iter().filter_map(|token| u32::try_from(*token).ok());
                let known: Vec<u32> = known.collect();
                guarded(|| tokenizer.decode(&known, true)).map_err(|error| format!("tokenizer.json: {error}"))
            }
        }
    }
}

/// What `work` gives. The `tokenizers` crate panics on some files that are almost a tokenizer; here that is an error.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    match done {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("it is no tokenizer that can be used".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TextStream;
    use serde_json::{Map, json};

    /// A tokenizer of the 256 bytes, each written as a character as byte-level models do, and one word.
    fn byte_level() -> String {
        let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
        let others: Vec<u32> = (0..256).filter(|byte| !printable(*byte)).collect();
        let character = |byte: u32| match others.iter().position(|other| *other == byte) {
            Some(place) => char::from_u32(256 + place as u32).unwrap(),
            None => char::from_u32(byte).unwrap(),
        };
        let mut vocabulary: Map<_, _> =
            (0..256).map(|byte| (character(byte).to_string(), json!(byte))).collect();
        vocabulary.insert("ab".into(), json!(256));
        let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
            "added_tokens": [{ "id": 257, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true }],
            "pre_tokenizer": level, "decoder": level,
            "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocabulary, "merges": [["a", "b"]] },
        })
        .to_string()
    }

    fn read(text: &[u8]) -> Result<Option<Vocabulary>, String> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tokenizer.json"), text).unwrap();
        Vocabulary::of(directory.path(), 258)
    }

    #[test]
    fn bytes_without_a_tokenizer_where_they_are_256() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Vocabulary::of(directory.path(), 256), Ok(Some(Vocabulary::Bytes))));
        assert!(matches!(Vocabulary::of(directory.path(), 257), Ok(None)));
    }

    #[test]
    fn characters_of_several_tokens_come_whole() {
        let vocabulary = read(byte_level().as_bytes()).unwrap().unwrap();
        let text = "ab  \u{e4}\u{1F600}\u{4e2d} ab.";
        let tokens = vocabulary.encode(text, true).unwrap();
        assert_eq!((tokens[0], tokens.len()), (256, 15));
        let mut stream = TextStream::default();
        let mut given = Vec::new();
        for token in tokens.into_iter().chain([257]) {
            given.push(stream.push(token, &vocabulary).unwrap());
        }
        assert_eq!(given.concat(), text, "a token that stands for no text has none");
        assert!(given.iter().all(|text| !text.contains('\u{FFFD}')));
        assert_eq!(given[5..9], ["", "", "", "\u{1F600}"]);
    }

    #[test]
    fn a_damaged_tokenizer_is_one_or_an_error() {
        let whole = byte_level().into_bytes();
        let mut random = 1u64;
        let mut below = |end: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % end
        };
        let (mut read_in_spite, mut refused) = (0, 0);
        for _ in 0..300 {
            let mut damaged = whole.clone();
            for _ in 0..1 + below(3) {
                let place = below(damaged.len());
                match below(4) {
                    0 => damaged.truncate(place),
                    1 => damaged[place] = b"{}[]\",:0-9aeE.ntu"[below(17)],
                    2 => drop(damaged.remove(place)),
                    // The fields are at the end, and few.
                    _ => {
                        let place = damaged.len() - 1 - below(200.min(damaged.len()));
                        damaged[place] = b"0123456789abcdef"[below(16)];
                    }
                }
                if damaged.len() < 2 {
                    break;
                }
            }
            match read(&damaged) {
                Err(problem) => {
                    assert!(problem.contains("tokenizer.json: "), "{problem}");
                    refused += 1;
                }
                Ok(vocabulary) => {
                    let vocabulary = vocabulary.unwrap();
                    let _ = vocabulary.encode("ab \u{1F600} c", true);
                    let _ = vocabulary.decode(&[0, 97, 256, 257, 258, 1 << 40]);
                    read_in_spite += 1;
                }
            }
        }
        assert!(refused > 100, "{refused} refused, {read_in_spite} read");
    }
}
