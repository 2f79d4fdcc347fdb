//! The recall benchmark suite of seqzoo: what can a layer remember, and what does it cost?
//!
//! * [`task`]: the tasks. An example is a pure function of (seed, split, segment, index).
//! * [`experiment`]: what to run, as data: task, training, layers, expectations.
//! * [`train`]: one run, resumable to the bit.
//! * [`results`]: results of runs, the directory they live in, and verdicts on the expectations.
//! * [`report`]: tables for the terminal and Markdown, and one self-contained HTML file.
//!
//! The `recall` binary is this library behind a command line.
#![warn(missing_docs)]
#![recursion_limit = "256"]

pub mod cli;
pub mod experiment;
pub mod report;
pub mod results;
pub mod task;
pub mod train;

mod device;
mod error;
mod files;
mod machine;
mod reporter;
mod stop;

pub use error::Error;
