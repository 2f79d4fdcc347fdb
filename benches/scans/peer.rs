//! The same tasks as PyTorch programs, run beside ours.

use crate::limits::Limits;
use seqzoo_benches::Seconds;
use std::path::Path;
use std::process::Command;

/// The best that PyTorch reached, of all formulations, figure by figure.
#[derive(Clone, Debug)]
pub struct Peer {
    pub version: String,
    pub forward: (String, f64),
    pub both: (String, f64),
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

    pub fn seconds(&self) -> Seconds {
        Seconds { forward: self.forward.1, both: Some(self.both.1) }
    }
}

/// Runs `task` in `benches/peers/ssm_cpu.py` with as many threads as this library uses.
pub fn measure(python: &Path, task: &str, shape: &[usize], runs: usize) -> Result<Peer, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/ssm_cpu.py");
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let said = Command::new(python)
        .args([script, "--threads", &rayon::current_num_threads().to_string(), "--runs", &runs.to_string()])
        .args(["--task", task, "--shape", &shape.join(",")])
        .output()
        .map_err(|error| format!("cannot start {python:?}: {error}"))?;
    if !said.status.success() {
        return Err(format!("the PyTorch peer failed: {}", String::from_utf8_lossy(&said.stderr)));
    }
    let data: serde_json::Value = serde_json::from_slice(&said.stdout)
        .map_err(|error| format!("the PyTorch peer said no JSON: {error}"))?;
    let number = |value: &serde_json::Value, field: &str| {
        value[field].as_f64().ok_or_else(|| format!("the PyTorch peer gave no `{field}`"))
    };
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
