//! Saves that are interrupted.

use crate::files;

/// How a save ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// A write fails, as on a full disk.
    FullDisk,
    /// The process ends without another instruction, as under `kill -9`.
    Kill,
}

/// Runs `save` with the interruption at its step `step`, counted from 0, of those that this thread makes through
/// [`files`]: creating a file or directory, writing a half of the bytes, waiting for the disk, renaming. Returns
/// its result, and whether it came that far.
pub fn interrupted<T>(step: usize, interruption: Interruption, save: impl FnOnce() -> T) -> (T, bool) {
    files::interrupt(Some((step, interruption)));
    let result = save();
    (result, files::interrupt(None))
}
