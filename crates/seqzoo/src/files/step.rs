//! The steps of a write, at each of which a test can let it fail or end the process.

#[cfg(not(feature = "testing"))]
pub(super) fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "testing")]
pub(super) use injected::step;

#[cfg(feature = "testing")]
pub(crate) use injected::interrupt;

#[cfg(feature = "testing")]
mod injected {
    use crate::testing::Interruption;
    use std::cell::Cell;
    use std::io::{Error, ErrorKind, Result};

    thread_local! {
        /// How many steps are still made, and what happens instead of the next one.
        static PLAN: Cell<Option<(usize, Interruption)>> = const { Cell::new(None) };
    }

    /// Replaces the plan; whether the one before was carried out.
    pub(crate) fn interrupt(plan: Option<(usize, Interruption)>) -> bool {
        PLAN.replace(plan).is_none()
    }

    pub(in crate::files) fn step() -> Result<()> {
        match PLAN.get() {
            None => Ok(()),
            Some((0, interruption)) => {
                PLAN.set(None);
                match interruption {
                    Interruption::FullDisk => Err(Error::from(ErrorKind::StorageFull)),
                    Interruption::Kill => std::process::abort(),
                }
            }
            Some((left, interruption)) => {
                PLAN.set(Some((left - 1, interruption)));
                Ok(())
            }
        }
    }
}
