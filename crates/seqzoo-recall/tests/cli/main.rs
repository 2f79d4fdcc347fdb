//! The `recall` binary as a user meets it.

mod budgets;
mod forms;
mod halving;
mod help;
mod interrupt;
mod landmarks;
mod mistakes;
mod needles;
mod precision;
mod reports;
mod saves;
mod scores;
mod spread;
mod stacked;
mod tool;
