//! Results of runs, the directory they live in, where contestants stand, and verdicts on the expectations.

mod csv;
mod interval;
mod lines;
mod record;
mod standing;
mod store;
mod verdict;

pub use interval::{bootstrap, wilson};
pub use lines::write_lines;
pub use record::{Blocks, CurvePoint, RunResult, SliceAccuracy, Streamed};
pub(crate) use record::{accuracy_at, mean_accuracy};
pub(crate) use standing::over_depths;
pub use standing::{RatePoint, SliceStanding, Standing, standings};
pub use store::Store;
pub use verdict::{Outcome, Verdict, verdicts};
