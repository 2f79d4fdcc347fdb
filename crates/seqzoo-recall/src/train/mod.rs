//! One run: parameters and data from one seed, resumable to the bit.

mod answers;
mod checkpoint;
mod cost;
mod evaluate;
mod examine;
mod forms;
mod gradients;
mod optimizer;
mod progress;
mod read;
mod session;
mod step;
mod trainer;

pub use examine::score;
pub use progress::Progress;
pub use trainer::{Stand, Trainer};

use crate::experiment::RunConfig;
use crate::task::Split;

/// The tokens of the longest training examples.
fn longest(run: &RunConfig) -> usize {
    run.task.segments(Split::Train).iter().map(|(slice, _)| slice.length).fold(1, usize::max)
}
