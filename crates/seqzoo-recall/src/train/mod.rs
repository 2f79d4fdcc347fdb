//! One run: parameters and data from one seed, resumable to the bit.

mod checkpoint;
mod clip;
mod cost;
mod evaluate;
mod forms;
mod optimizer;
mod progress;
mod session;
mod step;
mod trainer;

pub use progress::Progress;
pub use trainer::train;
