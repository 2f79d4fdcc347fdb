//! The recall suite as a library: the law of its data, its recipes.

mod coordinates;
mod copying;
mod extends;
mod extremes;
mod forgetting;
mod hashes;
mod induction;
mod mqar;
mod needle;
mod passkey;
mod rates;
mod reader;
mod recipes;
mod stacked;
mod state_tracking;
mod text_needle;
