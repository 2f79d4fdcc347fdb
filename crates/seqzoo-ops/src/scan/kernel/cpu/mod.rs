//! On the CPU a vector holds one number of the states of neighbouring channels: channels never meet, so nothing in
//! the recurrence goes across its lanes.
#![allow(unsafe_code, reason = "tasks fill tensors in parallel")]

pub(crate) mod blocks;
pub(crate) mod room;
pub(crate) mod rows;
pub(crate) mod sums;
pub(crate) mod tasks;
