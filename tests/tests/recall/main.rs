//! The recall suite as a library: the law of its data, its recipes.

mod copying;
mod extremes;
mod forgetting;
mod hashes;
mod induction;
mod mqar;
mod rates;
mod recipes;
mod state_tracking;
