//! From chunk to chunk, once every chunk is known as one step.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod across;
pub(crate) mod launch;
pub(crate) mod numbers;
