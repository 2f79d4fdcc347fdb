//! The examples that read models, as their users run them.

mod conversations;
mod errors;
mod generate;
mod serve_many;
mod tool;
