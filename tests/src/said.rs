//! What a panic says.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The sentence with which `work` panics.
///
/// # Panics
///
/// If it does not.
#[track_caller]
pub fn said<T>(work: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else { panic!("a panic was expected") };
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| panic.downcast_ref::<&str>().map_or(String::new(), |text| text.to_string()))
}
