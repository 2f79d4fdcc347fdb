//! Files that are whole or not there.
//!
//! A reader of `path` finds what was there before a write or what was written, never a part of either: whatever
//! ends the writer (a full disk, a killed process, a lost machine) and however many write at once. The last to
//! finish wins.
//!
//! What is written goes into a file of a name of its own in the same directory, to the disk, and is then renamed
//! into place. A write that fails removes that file. A killed process cannot: such a file, called
//! `.<name>.<random>.partial`, is removed by the next write of the same path once it is an hour old.

mod mapped;
mod stage;
mod step;

pub(crate) use mapped::{map, map_path};
#[cfg(feature = "testing")]
pub(crate) use step::interrupt;

use stage::Stage;
use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::time::{Duration, Instant};
use step::step;

/// Writes `bytes` to `path`, whole or not at all. What is no regular file (a terminal, a pipe) is written to as it
/// is.
///
/// # Errors
///
/// What the system says; `path` then holds what it held.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let (path, bytes) = (path.as_ref(), bytes.as_ref());
    match special(path) {
        true => std::fs::write(path, bytes),
        false => write_with(path, |stage| stage::fill(stage, bytes)),
    }
}

/// Writes `path` whole or not at all: `write` gets the path of an empty file in the same directory, which takes the
/// place of `path` when it holds everything.
///
/// # Errors
///
/// What `write` or the system says; `path` then holds what it held.
pub fn write_with<E: From<Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&Path) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let path = path.as_ref();
    if special(path) {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file").into());
    }
    let stage = Stage::new(path)?;
    write(stage.path())?;
    Ok(stage.commit()?)
}

/// The bytes of the regular file `path`.
///
/// # Errors
///
/// What the system says, or that it is no regular file, which might never end.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    if special(path) {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    std::fs::read(path)
}

/// Makes `directory` and those above it, where they are missing.
///
/// # Errors
///
/// What the system says.
pub fn create_directory(directory: impl AsRef<Path>) -> Result<()> {
    step()?;
    std::fs::create_dir_all(directory)
}

/// Waits until no other process saves in `directory`, until the file that it returns is dropped. Nothing where the
/// system has no such locks, or where another process holds it for a minute: it may be one that is stopped.
pub(crate) fn lock_directory(directory: &Path) -> Option<File> {
    let file = File::open(directory).ok()?;
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(2))
            }
            Err(_) => return None,
        }
    }
}

/// Whether something is there that is neither a file nor a directory.
fn special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}
