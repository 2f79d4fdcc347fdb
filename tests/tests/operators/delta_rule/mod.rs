//! The delta rule: golden vectors, forms, finite differences, splits, identities and hostile numbers.

mod case;
mod differences;
mod forms;
mod golden;
mod hostile;
mod identities;
mod kernel;
mod product;
mod splits;
