//! The language model: a published one, generation, checkpoints.

mod based;
mod by_hand;
mod checkpoint;
mod checkpointing;
mod configurations;
mod entrances;
mod feed_forwards;
mod generation;
mod golden;
mod golden_hybrids;
mod golden_mamba;
mod half;
mod landmarks;
mod law;
mod loss;
mod options;
mod published;
mod retrieval;
mod small;
