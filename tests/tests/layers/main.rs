//! The layers: the law of the zoo, whole-layer golden vectors, states on disk, configurations.

mod configurations;
mod decays;
mod entrances;
mod extremes;
mod golden;
mod golden_delta;
mod golden_recurrences;
mod golden_time_invariant;
mod hippo;
mod identities;
mod law;
mod lmu;
mod long_convolutions;
mod mixture_of_memories;
mod recurrences;
mod retrieval;
mod segments;
mod states;
mod testing;
mod time_invariant;
mod titans;
mod ttt;
mod weight_decay;
mod zoo;
