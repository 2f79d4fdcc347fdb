//! The places that files are written to.
#![cfg(unix)]

use seqzoo::files;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

#[test]
fn a_link_stays_and_what_it_points_to_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (place, link) = (directory.path().join("place"), directory.path().join("link"));
    std::fs::write(&place, "old").unwrap();
    symlink(&place, &link).unwrap();
    files::write(&link, "new").unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::read_to_string(&place).unwrap(), "new");
}

#[test]
fn permissions_are_those_of_the_file_before_or_of_any_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let mode = |name: &str| directory.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("usual"), "").unwrap();
    files::write(path("new"), "").unwrap();
    assert_eq!(mode("new"), mode("usual"));
    std::fs::set_permissions(path("new"), std::fs::Permissions::from_mode(0o600)).unwrap();
    files::write(path("new"), "again").unwrap();
    assert_eq!(mode("new"), 0o600);
}

#[test]
fn what_is_no_file_is_not_read_and_not_replaced() {
    assert!(files::read("/dev/zero").unwrap_err().to_string().contains("no regular file"));
    files::write("/dev/null", "nothing").unwrap();
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    let written = files::write_with("/dev/null", |_| Ok::<(), std::io::Error>(()));
    assert!(written.unwrap_err().to_string().contains("no regular file"));
}

#[test]
fn what_a_killed_process_left_is_removed_when_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in [".place.old.partial", ".place.young.partial", ".other.old.partial", "place.old"] {
        let file = std::fs::File::create(path(name)).unwrap();
        if name.contains("old") {
            file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
        }
    }
    files::write(path("place"), "new").unwrap();
    assert!(!path(".place.old.partial").exists());
    assert!(
        [".place.young.partial", ".other.old.partial", "place.old"]
            .map(path)
            .iter()
            .all(|path| path.exists())
    );
}
