//! Whole models: a language model over any pattern of layers, and generation from it.

mod based;
mod block;
mod build;
mod config;
mod directory;
mod feed_forward;
mod generate;
mod landmarks;
mod language_model;
mod loss;
mod retrieval;
mod sampling;
mod weights;

pub use block::{Block, ChannelMixer, Norm, NormKind};
pub use config::LanguageModelConfig;
pub use feed_forward::{ChannelMixerConfig, FeedForward};
pub use generate::{Generator, Parked};
pub use language_model::{LanguageModel, ModelState};
pub use retrieval::ModelRetrieval;
pub use sampling::{Sampler, Sampling};
