//! PyTorch programs, run beside ours.

use crate::{Limits, Seconds};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The best that PyTorch reached, of all formulations, figure by figure.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The version of PyTorch.
    pub version: String,
    /// The formulation and its seconds.
    pub forward: (String, f64),
    /// The same with the backward pass.
    pub both: (String, f64),
    /// What the machine could do in its run.
    pub limits: Limits,
}

impl Peer {
    /// The better of two measurements.
    pub fn or(self, other: Self) -> Self {
        let better = |a: (String, f64), b: (String, f64)| if b.1 < a.1 { b } else { a };
        Self {
            version: self.version,
            forward: better(self.forward, other.forward),
            both: better(self.both, other.both),
            limits: self.limits.or(other.limits),
        }
    }

    /// Both figures.
    pub fn seconds(&self) -> Seconds {
        Seconds { forward: self.forward.1, both: Some(self.both.1) }
    }
}

/// Runs `task` of a program in `benches/peers` with as many threads as this library uses.
///
/// # Errors
///
/// If it cannot be started, fails, or says something else than figures.
pub fn measure(
    python: &Path,
    script: &str,
    task: &str,
    shape: &[usize],
    runs: usize,
) -> Result<Peer, String> {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let data = ask(python, script, &["--task", task, "--shape", &shape.join(",")], runs)?;
    let best = |field: &str| -> Result<(String, f64), String> {
        let mut best = (String::new(), f64::INFINITY);
        for row in data["rows"].as_array().into_iter().flatten() {
            let seconds = number(row, field)?;
            if seconds < best.1 {
                best = (row["op"].as_str().unwrap_or_default().to_string(), seconds);
            }
        }
        Ok(best)
    };
    Ok(Peer {
        version: data["torch"].as_str().unwrap_or("unknown").to_string(),
        forward: best("forward")?,
        both: best("both")?,
        limits: Limits {
            product: number(&data, "product")?,
            exponentials: number(&data, "exponentials")?,
            bytes: number(&data, "bytes")?,
        },
    })
}

/// What a program in `benches/peers` says.
///
/// # Errors
///
/// If it cannot be started, fails, or says no JSON.
pub fn ask(python: &Path, script: &str, arguments: &[&str], runs: usize) -> Result<Value, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
    let said = Command::new(python)
        .arg(script)
        .args(["--threads", &rayon::current_num_threads().to_string(), "--runs", &runs.to_string()])
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot start {python:?}: {error}"))?;
    if !said.status.success() {
        return Err(format!("the PyTorch peer failed: {}", String::from_utf8_lossy(&said.stderr)));
    }
    serde_json::from_slice(&said.stdout).map_err(|error| format!("the PyTorch peer said no JSON: {error}"))
}

/// A number that a peer said.
///
/// # Errors
///
/// If it did not.
pub fn number(value: &Value, field: &str) -> Result<f64, String> {
    value[field].as_f64().ok_or_else(|| format!("the PyTorch peer gave no `{field}`"))
}
