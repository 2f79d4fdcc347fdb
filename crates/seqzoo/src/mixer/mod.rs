//! The contract of every layer, and any layer as data.

mod any;
mod config;
mod contract;

pub use any::{Mixer, MixerConfig, MixerStates};

pub use contract::SequenceMixer;
