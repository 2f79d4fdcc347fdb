//! Retrieval: a trained layer reads the blocks whose landmarks weigh most, and leaves the others where they are.

mod arena;
mod choice;
mod file;
mod host;
mod positions;
mod read;
mod store;

pub use choice::LandmarkChoice;
pub use store::{BlockCounts, LandmarkStore};

use super::LandmarkAttention;
use burn::config::Config;

/// How a [`LandmarkStore`] is read.
#[derive(Config, Debug)]
pub struct RetrievalConfig {
    /// How many blocks are read beside the current one.
    pub top_k: usize,
    /// Who chooses them. Default: every head for every token.
    #[config(default = "LandmarkChoice::PerHeadAndToken")]
    pub choice: LandmarkChoice,
    /// How many blocks the device has room for, each counted once per sequence and key and value head. At least one token's:
    /// sequences times query heads times `top_k`. Default: `None`, four times that.
    pub budget: Option<usize>,
}
