//! Training steps of whole language models.

mod contestants;
mod step;

pub use contestants::CONTESTANTS;
pub use step::{Sizes, training_step};
