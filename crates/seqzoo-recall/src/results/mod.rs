//! What runs leave behind: a result each, the directory they live in, and where they stand.

mod record;
mod standing;
mod store;

pub use record::{CurvePoint, RunResult, SliceAccuracy};
pub use standing::{RatePoint, SliceStanding, Standing, standings};
pub use store::Store;
pub(crate) use store::{sync, write_text};
