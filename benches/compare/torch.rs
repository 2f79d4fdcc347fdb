//! The same operators as PyTorch programs, run beside ours.

use seqzoo_benches::{Seconds, Shape, Subject};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// What the PyTorch peer measured for one shape.
#[derive(Debug)]
pub struct Torch {
    pub version: String,
    pub by_name: HashMap<String, Seconds>,
    /// Multiply-adds per second of the best 1024 x 1024 product.
    pub product: f64,
}

impl Torch {
    /// The better of two measurements, operator by operator.
    pub fn or(self, other: Self) -> Self {
        let mut best = self;
        for (name, seconds) in &mut best.by_name {
            if let Some(other) = other.by_name.get(name) {
                *seconds = seconds.or(*other);
            }
        }
        best.product = best.product.max(other.product);
        best
    }
}

/// Runs the peers of `subjects`, and softmax attention, in `benches/peers/torch_cpu.py` with as many threads as this
/// library uses.
pub fn measure(python: &Path, subjects: &[Subject], shape: Shape, runs: usize) -> Result<Torch, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/torch_cpu.py");
    let Shape { batch, time, heads, head_dim } = shape;
    let peers: Vec<&str> =
        subjects.iter().filter_map(|subject| subject.peer()).chain(["softmax_sdpa"]).collect();
    let said = Command::new(python)
        .args([script, "--threads", &rayon::current_num_threads().to_string(), "--runs", &runs.to_string()])
        .args(["--only", &peers.join(",")])
        .args(["--shape", &format!("{batch},{time},{heads},{head_dim}")])
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
    let mut by_name = HashMap::new();
    for row in data["rows"].as_array().into_iter().flatten() {
        let name = row["op"].as_str().unwrap_or_default().to_string();
        by_name.insert(name, Seconds { forward: number(row, "forward")?, both: Some(number(row, "both")?) });
    }
    let version = data["torch"].as_str().unwrap_or("unknown").to_string();
    Ok(Torch { version, by_name, product: number(&data, "product")? })
}
