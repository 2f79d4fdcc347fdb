//! Files as memory.

use memmap2::Mmap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// The bytes of `file`, read as they are needed.
#[allow(unsafe_code, reason = "a map of a file is memory that others could change")]
pub(crate) fn map(file: &File) -> Result<Mmap> {
    // SAFETY: what is mapped is read as bytes, of which any is valid. Nobody in this library changes or shortens a file
    // that is mapped: writes replace files by others of the same name, and a store of blocks holds a lock, adds to the end
    // and writes a header that is not read through the map meanwhile. A program that changes or cuts a file in place while
    // it is read is beyond what a map can be guarded against.
    unsafe { Mmap::map(file) }
}

/// The bytes of the regular file `path`, read as they are needed.
///
/// # Errors
///
/// What the system says, or that it is no regular file.
pub(crate) fn map_path(path: &Path) -> Result<Mmap> {
    if super::special(path) || path.is_dir() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    map(&File::open(path)?)
}
