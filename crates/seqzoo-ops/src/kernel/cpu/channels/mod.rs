//! For operators whose channels never meet: a vector holds one number of neighbouring channels, and nothing goes across
//! its lanes.
#![allow(unsafe_code, reason = "tasks fill tensors in parallel")]

pub(crate) mod blocks;
pub(crate) mod room;
pub(crate) mod rows;
pub(crate) mod sums;
pub(crate) mod tasks;
