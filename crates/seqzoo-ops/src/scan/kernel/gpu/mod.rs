//! A unit's part of a scan, resets, numbers in two parts, and the recurrence from chunk to chunk, once every chunk is
//! known as one step.
#![allow(
    clippy::collapsible_if,
    reason = "`comptime!` is decided when a program is built, the `if` in it when it runs"
)]

mod across;
pub(crate) mod launch;
pub(crate) mod numbers;
pub(crate) mod place;
pub(crate) mod reset;
