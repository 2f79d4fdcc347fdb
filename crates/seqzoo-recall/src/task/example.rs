//! One example of a task.

/// Tokens, and what must be said at some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The input.
    pub tokens: Vec<u32>,
    /// (position, token): at `position` of the input the model must predict `token`.
    pub answers: Vec<(usize, u32)>,
    /// Where the question begins, in tasks that ask once, at the end: a model that remembers nothing from before
    /// this position can only guess.
    pub question: Option<usize>,
}

impl Example {
    /// The example as bytes, for hashing: length, tokens, then the answers.
    pub fn bytes(&self) -> Vec<u8> {
        let numbers = std::iter::once(self.tokens.len() as u32)
            .chain(self.tokens.iter().copied())
            .chain(self.answers.iter().flat_map(|(position, token)| [*position as u32, *token]));
        numbers.flat_map(u32::to_le_bytes).collect()
    }
}
