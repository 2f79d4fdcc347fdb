//! Documents that nobody meant: random bytes, damaged files, and well-formed files that say absurd things.

mod bytes;
mod tensors;
mod tree;

pub use bytes::{damaged, random};
pub use tensors::tensors;
pub use tree::{Syntax, changed};
