//! The same operators as PyTorch programs, run beside ours.

use seqzoo_benches::peer::{ask, number};
use seqzoo_benches::{Seconds, Shape, Subject};
use std::collections::HashMap;
use std::path::Path;

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
    let Shape { batch, time, heads, head_dim } = shape;
    let peers: Vec<&str> =
        subjects.iter().filter_map(|subject| subject.peer()).chain(["softmax_sdpa"]).collect();
    let shape = format!("{batch},{time},{heads},{head_dim}");
    let data = ask(python, "torch_cpu.py", &["--only", &peers.join(","), "--shape", &shape], runs)?;
    let mut by_name = HashMap::new();
    for row in data["rows"].as_array().into_iter().flatten() {
        let name = row["op"].as_str().unwrap_or_default().to_string();
        by_name.insert(name, Seconds { forward: number(row, "forward")?, both: Some(number(row, "both")?) });
    }
    let version = data["torch"].as_str().unwrap_or("unknown").to_string();
    Ok(Torch { version, by_name, product: number(&data, "product")? })
}
