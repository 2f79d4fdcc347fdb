//! Training steps of whole language models.

mod contestants;
mod page;
mod step;

pub use contestants::CONTESTANTS;
pub use page::page;
pub use step::child;
