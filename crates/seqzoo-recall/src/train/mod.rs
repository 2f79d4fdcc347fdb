//! One run: parameters and data from one seed, resumable to the bit.

mod checkpoint;
mod clip;
mod cost;
mod evaluate;
mod forms;
mod optimizer;
mod trainer;

pub use trainer::{Progress, train};
