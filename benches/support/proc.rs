//! Facts that Linux tells in `/proc`.

use std::path::Path;

/// The text after `name:` in a file of lines like that.
fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new("/proc").join(file)).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_string())
    })
}

/// The model of the processor; its architecture if the system does not tell.
pub fn processor() -> String {
    field("cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into())
}

/// Bytes of memory that this process holds, and the max it has held; `None`: the system does not tell.
pub fn resident_bytes() -> Option<[usize; 2]> {
    let bytes = |name| {
        let value = field("self/status", name)?;
        Some(value.strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
    };
    Some([bytes("VmRSS")?, bytes("VmHWM")?])
}
