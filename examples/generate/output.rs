//! Tokens on stdout, as text or as numbers.

use seqzoo_examples::text::TextStream;
use seqzoo_examples::vocabulary::Vocabulary;
use std::io::{ErrorKind, IsTerminal, Write, stdout};

/// Stdout, which takes tokens.
pub struct Output<'a> {
    /// How tokens become text; numbers without.
    vocabulary: Option<&'a Vocabulary>,
    begun: bool,
    closed: bool,
}

impl<'a> Output<'a> {
    /// Text of this vocabulary; numbers if there is none.
    pub fn new(vocabulary: Option<&'a Vocabulary>) -> Self {
        Self { vocabulary, begun: false, closed: false }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes what is known with `token`.
    pub fn push(&mut self, token: usize, text: &mut TextStream) -> Result<(), String> {
        let new = match self.vocabulary {
            Some(vocabulary) => text.push(token, vocabulary)?,
            None => {
                text.follow(&[token]);
                let space = if self.begun { " " } else { "" };
                format!("{space}{token}")
            }
        };
        self.write(&new)
    }

    /// Writes the rest of the text.
    pub fn finish(&mut self, text: &mut TextStream) -> Result<(), String> {
        match self.vocabulary {
            Some(vocabulary) => {
                let rest = text.finish(vocabulary)?;
                self.write(&rest)
            }
            None => Ok(()),
        }
    }

    /// Ends the line after numbers, and on a terminal.
    pub fn end(&mut self) -> Result<(), String> {
        match self.vocabulary.is_none() || stdout().is_terminal() {
            true => self.write("\n"),
            false => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        if self.closed || text.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let mut stdout = stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            written => written.map_err(|error| format!("stdout: {error}")),
        }
    }
}
