//! The contract: a sequence mixer, and a layer that has a name and a configuration.

mod entrance;
mod layer;
mod mixer;
mod segments;

pub use layer::{Layer, LayerConfig};
pub use mixer::SequenceMixer;
pub(crate) use segments::refusal;
