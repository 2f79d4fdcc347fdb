//! What is measured: tasks, their shapes, and what a token of them costs at least.

use crate::calls::{self, Call};
use burn::tensor::Device;

/// A task with a PyTorch peer.
#[derive(Debug)]
pub struct Task {
    /// Its name on the command line and for the peer.
    pub flag: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What the numbers of a shape are; the first two are batch and time.
    pub letters: &'static [&'static str],
    /// The first is measured alone where time is short.
    pub shapes: &'static [&'static [usize]],
    /// Random inputs of a shape, which can be run any number of times.
    pub call: fn(&[usize], &Device) -> Box<dyn Call>,
    /// What a token costs at least, forward and with the backward pass.
    pub cost: fn(&[usize]) -> Cost,
    /// Whether it can be asked to run in chunks of tensor operations.
    pub has_chunks: bool,
}

/// What a token costs at least of what the machine has least of, forward and with the backward pass.
#[derive(Clone, Copy, Debug)]
pub enum Cost {
    /// Exponentials: one per number of the state, and one more where the backward pass computes it again.
    Exponentials([f64; 2]),
    /// Multiply-adds.
    Products([f64; 2]),
    /// Bytes to and from memory: inputs, outputs and their gradients, each once.
    Bytes([f64; 2]),
    /// Nothing that can be named.
    Unknown,
}

/// Tokens of a shape.
pub fn tokens(shape: &[usize]) -> u64 {
    (shape[0] * shape[1]) as u64
}

/// `B1 T2048 E256 N16`.
pub fn name(task: &Task, shape: &[usize]) -> String {
    let named = task.letters.iter().zip(shape).map(|(letter, number)| format!("{letter}{number}"));
    named.collect::<Vec<_>>().join(" ")
}

pub static TASKS: [Task; 7] = [
    Task {
        flag: "selective",
        title: "Selective scan",
        letters: &["B", "T", "E", "N"],
        shapes: &[&[1, 2048, 256, 16], &[1, 8192, 256, 16], &[4, 2048, 512, 16]],
        call: calls::selective,
        cost: |shape| {
            let states = (shape[2] * shape[3]) as f64;
            Cost::Exponentials([states, 2.0 * states])
        },
        has_chunks: true,
    },
    Task {
        flag: "ssd",
        title: "Mamba-2: linear attention with scalar decay, keys and queries shared by all heads",
        letters: &["B", "T", "H", "P", "N"],
        shapes: &[&[1, 2048, 4, 64, 64], &[1, 2048, 4, 64, 128], &[4, 2048, 8, 64, 128]],
        call: calls::ssd,
        cost: |shape| {
            // Per head: the memory is written and read, and half a chunk of 32 values is read; the products of
            // queries with keys are once for all heads. Backward: every product twice more.
            let [heads, value, key] = [2, 3, 4].map(|index| shape[index] as f64);
            let forward = heads * (2.0 * key * value + 16.0 * value) + 16.0 * key;
            Cost::Products([forward, 3.0 * forward])
        },
        has_chunks: true,
    },
    Task {
        flag: "linear",
        title: "Linear scan, real, a factor per token",
        letters: &["B", "T", "D"],
        shapes: &[&[1, 8192, 256], &[1, 2048, 256], &[1, 2048, 4096]],
        call: calls::linear,
        cost: |shape| bytes(4, shape[2]),
        has_chunks: true,
    },
    Task {
        flag: "complex",
        title: "Linear scan, complex, a factor per token",
        letters: &["B", "T", "D"],
        shapes: &[&[1, 8192, 256], &[1, 2048, 256]],
        call: calls::complex,
        cost: |shape| bytes(8, shape[2]),
        has_chunks: true,
    },
    Task {
        flag: "s4d",
        title: "S4D: eigenvalues and weights made of the parameters, then the diagonal state space",
        letters: &["B", "T", "E", "N"],
        shapes: &[&[1, 8192, 256, 16], &[1, 2048, 256, 16], &[1, 2048, 256, 64]],
        call: calls::s4d,
        cost: |shape| {
            // N / 2 complex numbers: four multiply-adds to move and two to read; backward, moved again and twelve.
            let numbers = (shape[2] * shape[3] / 2) as f64;
            Cost::Products([6.0 * numbers, 22.0 * numbers])
        },
        has_chunks: true,
    },
    Task {
        flag: "long_conv",
        title: "Long convolution, a filter as long as the sequence",
        letters: &["B", "T", "D"],
        shapes: &[&[1, 8192, 256], &[1, 2048, 256]],
        call: calls::long_conv,
        cost: |_| Cost::Unknown,
        has_chunks: false,
    },
    Task {
        flag: "mamba",
        title: "Mamba layers with norms and residuals",
        letters: &["B", "T", "d_model ", "layers "],
        shapes: &[&[1, 512, 256, 2], &[1, 2048, 256, 2]],
        call: calls::mamba,
        cost: |_| Cost::Unknown,
        has_chunks: false,
    },
];

/// Factors and inputs are read and states written; backward, factors, states and their gradients are read, and the
/// gradients of factors and inputs written.
fn bytes(size: usize, channels: usize) -> Cost {
    let row = (size * channels) as f64;
    Cost::Bytes([3.0 * row, 8.0 * row])
}
