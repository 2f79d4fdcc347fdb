//! The layers: the law of the zoo, whole-layer golden vectors, states on disk, configurations.

mod configurations;
mod decays;
mod entrances;
mod extremes;
mod golden;
mod golden_delta;
mod hippo;
mod identities;
mod law;
mod long_convolutions;
mod states;
mod testing;
mod weight_decay;
mod zoo;
