//! What the tests of seqzoo share: golden vectors, reproducible inputs, comparison and gradients.

mod compare;
mod golden;
mod inputs;

pub use compare::{Outcome, largest_error};
pub use golden::Golden;
pub use inputs::{Inputs, autodiff, flags, plain};
