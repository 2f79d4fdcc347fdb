//! The language model: a published one, generation, checkpoints.

mod based;
mod checkpoint;
mod configurations;
mod entrances;
mod generation;
mod golden;
mod golden_mamba;
mod landmarks;
mod law;
mod loss;
mod published;
mod retrieval;
mod small;
