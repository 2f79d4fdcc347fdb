//! The layers: the law of the zoo, whole-layer golden vectors, states on disk, configurations.

mod configurations;
mod golden;
mod law;
mod states;
mod zoo;
