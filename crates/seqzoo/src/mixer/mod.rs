//! The contract of every layer, and any layer as data.

mod any;
mod config;
mod contract;

pub use any::{AnyState, Mixer, MixerConfig};

pub use contract::SequenceMixer;
