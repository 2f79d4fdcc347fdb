//! What programs are built for.

/// Tokens of a chunk. The states of the chunks' edges are a small part of all, and the shortest sequences that are worth
/// dividing have two.
pub(super) const CHUNK: usize = 64;

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub complex: bool,
    /// Whether one factor serves all tokens.
    pub shared: bool,
    pub resets: bool,
    /// Whether time runs backwards.
    pub reverse: bool,
}
