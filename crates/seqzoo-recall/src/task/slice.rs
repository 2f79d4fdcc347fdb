//! What the examples of a segment have in common.

use serde::{Deserialize, Serialize};

/// Examples of one length and difficulty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slice {
    /// Tokens per example.
    pub length: usize,
    /// Key-value pairs to remember, in tasks that have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// How many of their keys are bound again, to other values, in tasks that do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<usize>,
    /// How far in the needle lies, in per cent of the way from the start to the question, in tasks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
}

impl Slice {
    /// Examples of `length` tokens, of which nothing else is to be said.
    pub fn of_length(length: usize) -> Self {
        Self { length, ..Self::default() }
    }

    /// The slices of all depths together.
    pub fn without_depth(self) -> Self {
        Self { depth: None, ..self }
    }

    /// Grows from the easy slices of a task to the hard ones: the pairs, or else the length.
    pub fn difficulty(&self) -> usize {
        self.pairs.unwrap_or(self.length)
    }
}

impl std::fmt::Display for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pairs {
            Some(pairs) => write!(f, "{pairs} pairs in {}", self.length)?,
            None => write!(f, "length {}", self.length)?,
        }
        if let Some(updates) = self.updates {
            write!(f, ", {updates} updates")?;
        }
        if let Some(depth) = self.depth {
            write!(f, ", depth {depth} %")?;
        }
        Ok(())
    }
}
