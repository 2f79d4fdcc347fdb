//! What the tests of seqzoo share: golden vectors, reproducible inputs, comparison and gradients.

mod compare;
mod golden;
mod inputs;
mod modules;
mod states;

pub use compare::{Outcome, largest_error};
pub use golden::Golden;
pub use inputs::{Inputs, autodiff, flags, plain};
pub use modules::{double, put_parameter_gradients};
pub use states::{put_state, randomised, state_gradients, state_loss, tracked};
