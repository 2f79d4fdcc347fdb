//! A file on its way to its place.

use super::step;
use std::ffi::OsString;
use std::fs::{File, Metadata, Permissions};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{Builder, TempPath};

/// After this time a file that nobody has written to is one that a killed process left behind.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The end of the name of every file on its way.
const ENDING: &str = ".partial";

/// An empty file beside the place that it is meant for. Removed when it is dropped.
pub(super) struct Stage {
    staged: TempPath,
    place: PathBuf,
    permissions: Permissions,
}

impl Stage {
    pub fn new(path: &Path) -> Result<Self> {
        // What a link points to is replaced, and not the link.
        let place = match std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            true => std::fs::canonicalize(path)?,
            false => path.to_path_buf(),
        };
        let directory = directory(&place);
        let beginning = beginning(&place);
        remove_abandoned(directory, &beginning);
        step()?;
        let mut builder = Builder::new();
        builder.prefix(&beginning).suffix(ENDING).rand_bytes(12);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(Permissions::from_mode(0o666)); // less what the user's mask takes away
        }
        let file = builder.tempfile_in(directory)?;
        let permissions = std::fs::metadata(&place).or_else(|_| file.as_file().metadata())?.permissions();
        Ok(Self { staged: file.into_temp_path(), place, permissions })
    }

    pub fn path(&self) -> &Path {
        &self.staged
    }

    /// Puts the file into its place.
    pub fn commit(self) -> Result<()> {
        std::fs::set_permissions(&self.staged, self.permissions)?;
        step()?;
        // On the disk before it is in place.
        File::options().write(true).open(&self.staged)?.sync_all()?;
        step()?;
        self.staged.persist(&self.place)?;
        step()?;
        // The rename itself reaches the disk with the directory, where a directory can be opened.
        #[cfg(unix)]
        File::open(directory(&self.place))?.sync_all()?;
        Ok(())
    }
}

/// Writes `bytes` into the empty file `path`.
pub(super) fn fill(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for half in [first, second] {
        step()?;
        file.write_all(half)?;
    }
    Ok(())
}

fn directory(place: &Path) -> &Path {
    place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The beginning of the names of all files on their way to `place`.
fn beginning(place: &Path) -> OsString {
    let mut beginning = OsString::from(".");
    beginning.push(place.file_name().unwrap_or_default());
    beginning.push(".");
    beginning
}

/// Removes what killed processes left behind on their way to the same place. Nothing depends on its success.
fn remove_abandoned(directory: &Path, beginning: &OsString) {
    let beginning = beginning.as_encoded_bytes();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name
            .as_encoded_bytes()
            .strip_prefix(beginning)
            .is_some_and(|rest| rest.windows(ENDING.len()).any(|window| window == ENDING.as_bytes()));
        if ours && entry.metadata().is_ok_and(|found| found.is_file() && is_abandoned(&found)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(found: &Metadata) -> bool {
    found.modified().ok().and_then(|written| written.elapsed().ok()).is_some_and(|age| age > ABANDONED)
}
