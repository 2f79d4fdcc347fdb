//! Where a result was measured.

use serde::{Deserialize, Serialize};

/// The version of Burn in `Cargo.lock`, which a test compares.
const BURN: &str = "0.22.1";

/// The machine, the build and the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's own name, if the system tells.
    pub processor: String,
    /// Logical cores.
    pub cores: usize,
    /// Threads that tensor operations used.
    pub threads: usize,
    /// Runs that were trained side by side, and shared the cores.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub jobs: usize,
    /// Operating system and architecture.
    pub system: String,
    /// The device.
    pub device: String,
    /// Version of this library.
    pub seqzoo: String,
    /// Version of Burn.
    pub burn: String,
    /// Whether optimisations were on.
    pub optimised: bool,
}

impl Machine {
    /// This machine, with the device of the name given, `threads` threads and `jobs` runs side by side.
    pub fn here(device: &str, threads: usize, jobs: usize) -> Self {
        Self {
            processor: processor().unwrap_or_else(|| "unknown processor".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads,
            jobs,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            device: device.into(),
            seqzoo: env!("CARGO_PKG_VERSION").into(),
            burn: BURN.into(),
            optimised: matches!(env!("OPT_LEVEL"), "2" | "3"),
        }
    }
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &usize) -> bool {
    *count == 1
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_in_the_lock_file() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = std::fs::read_to_string(path).unwrap();
        assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{BURN}\"")));
    }
}
