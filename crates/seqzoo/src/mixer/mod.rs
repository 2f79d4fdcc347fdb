//! Any layer of the zoo, as data.

mod any;
mod config;

pub use any::{AnyState, Mixer, MixerConfig};
