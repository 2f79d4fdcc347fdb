//! What the tests of seqzoo share: golden vectors, reproducible inputs, comparison, gradients, and the ladder of the
//! operators.

mod compare;
mod golden;
mod inputs;
pub mod ladder;
pub mod operators;
mod reference;
mod said;

pub use compare::{Outcome, largest_error, values};
pub use golden::Golden;
pub use inputs::{Inputs, autodiff, flags, plain};
pub use reference::ReferenceGradients;
pub use said::said;
pub use seqzoo::testing::double;
