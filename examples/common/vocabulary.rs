//! Tokens as text.

use seqzoo::files;
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
        let tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| refuse(&error))?;
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
                let encoded =
                    tokenizer.encode(text, first).map_err(|error| format!("the prompt: {error}"))?;
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
                tokenizer.decode(&known, true).map_err(|error| format!("tokenizer.json: {error}"))
            }
        }
    }
}
