//! What all configurations have in common: how they are read, and which numbers they may give.

mod floats;
mod json;
mod read;
mod size;

pub use floats::check_floats;
pub(crate) use json::Unrepeated;
pub(crate) use read::read;
pub(crate) use size::{MAX_CHANNELS, check_channels, check_memory, check_numbers, check_parameters};
