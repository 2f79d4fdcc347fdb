//! Linear attention: golden vectors, forms, finite differences, splits and hostile numbers.

mod case;
mod differences;
mod forms;
mod golden;
mod hostile;
mod kernel;
mod splits;
