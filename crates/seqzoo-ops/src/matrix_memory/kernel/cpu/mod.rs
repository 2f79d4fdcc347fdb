//! Native code that walks over the chunks of a head.
//!
//! A chunk writes keys with values into the memory and reads it with rows of its own. Linear attention reads it with
//! queries; the delta rule reads it with queries and, to know what to correct, with its keys.
#![allow(unsafe_code, reason = "tasks share outputs, each its own rows")]

pub(crate) mod backward;
pub(crate) mod backward_walk;
pub(crate) mod chunks;
pub(crate) mod division;
pub(crate) mod extents;
pub(crate) mod factors;
pub(crate) mod fade;
pub(crate) mod forward;
pub(crate) mod forward_walk;
pub(crate) mod inputs;
pub(crate) mod keys;
pub(crate) mod pass;
#[cfg(test)]
pub(crate) mod processor_kinds;
pub(crate) mod reader;
pub(crate) mod sequence;
pub(crate) mod states;
pub(crate) mod tokens;
mod within_block;
