//! What the benchmarks share: subjects, shapes, random inputs, and waiting for the device.

mod clock;
#[cfg(feature = "flex")]
pub mod counted;
mod delta_rule;
#[cfg(feature = "flex")]
mod limits;
mod linear_attention;
mod neural_memory;
#[cfg(feature = "flex")]
pub mod peer;
mod proc;
mod publish;
mod subject;

pub use clock::{Seconds, least, median, product, reading};
#[cfg(feature = "flex")]
pub use limits::Limits;
#[cfg(feature = "flex")]
pub use peer::Peer;
pub use proc::{processor, resident_bytes};
pub use publish::{command, publish};
pub use subject::{Call, Kind, OPERATORS, Operator, Subject};

use burn::tensor::{Device, Distribution, Tensor, activation::log_sigmoid, activation::sigmoid};
use criterion::Criterion;
use seqzoo::ops::Decay;
use std::time::Duration;

/// Batch, time, heads and head channels: the shapes of the PyTorch peer.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Independent sequences.
    pub batch: usize,
    /// Tokens.
    pub time: usize,
    /// Heads.
    pub heads: usize,
    /// Channels per head.
    pub head_dim: usize,
}

impl Shape {
    /// Tokens in all sequences together.
    pub fn tokens(self) -> u64 {
        (self.batch * self.time) as u64
    }

    /// `B1 T2048 H4 D64`.
    pub fn name(self) -> String {
        let Self { batch, time, heads, head_dim } = self;
        format!("B{batch} T{time} H{heads} D{head_dim}")
    }
}

/// The shapes measured.
pub const SHAPES: [Shape; 5] = [
    Shape { batch: 1, time: 512, heads: 4, head_dim: 64 },
    Shape { batch: 1, time: 2048, heads: 4, head_dim: 64 },
    Shape { batch: 1, time: 8192, heads: 4, head_dim: 64 },
    Shape { batch: 4, time: 2048, heads: 4, head_dim: 64 },
    Shape { batch: 1, time: 2048, heads: 8, head_dim: 128 },
];

/// Normal random numbers, `[B, T, H, D]`.
pub fn tokens(shape: Shape, device: &Device) -> Tensor<4> {
    let Shape { batch, time, heads, head_dim } = shape;
    Tensor::random([batch, time, heads, head_dim], Distribution::Normal(0.0, 1.0), device)
}

/// Keys of unit length, as the delta rule wants them, `[B, T, H, D]`.
pub fn unit_keys(shape: Shape, device: &Device) -> Tensor<4> {
    let keys = tokens(shape, device);
    keys.clone() / keys.square().sum_dim(3).sqrt()
}

/// Betas of the delta rule: sigmoids of normal numbers, `[B, T, H]`.
pub fn betas(shape: Shape, device: &Device) -> Tensor<3> {
    sigmoid(per_head(shape, device))
}

/// Normal random numbers, `[B, T, H]`.
fn per_head(shape: Shape, device: &Device) -> Tensor<3> {
    let Shape { batch, time, heads, .. } = shape;
    Tensor::random([batch, time, heads], Distribution::Normal(0.0, 1.0), device)
}

/// The decays measured.
pub static DECAYS: [Kind; 4] = [
    Kind { name: "none", title: "", in_pages: true },
    Kind { name: "per head", title: ", decay per head", in_pages: false },
    Kind { name: "scalar", title: ", scalar decay", in_pages: true },
    Kind { name: "vector", title: ", vector decay", in_pages: true },
];

/// The decay of this name in [`DECAYS`]: log-sigmoids of normal numbers over 16, as gates start out.
///
/// # Panics
///
/// If there is none of this name.
pub fn decay(name: &str, shape: Shape, device: &Device) -> Decay {
    match name {
        "none" => Decay::None,
        "per head" => Decay::PerHead(Tensor::full([shape.heads], -0.03, device)),
        "scalar" => Decay::Scalar(log_sigmoid(per_head(shape, device)) / 16.0),
        "vector" => Decay::Vector(log_sigmoid(tokens(shape, device)) / 16.0),
        other => panic!("no decay is named `{other}`"),
    }
}

/// The decay as a leaf whose gradient is recorded.
pub fn track(decay: Decay) -> Decay {
    match decay {
        Decay::None => Decay::None,
        Decay::PerHead(log) => Decay::PerHead(log.require_grad()),
        Decay::Scalar(log) => Decay::Scalar(log.require_grad()),
        Decay::Vector(log) => Decay::Vector(log.require_grad()),
    }
}

/// The numbers in a decay.
fn numbers(decay: &Decay) -> usize {
    match decay {
        Decay::None => 0,
        Decay::PerHead(log) => log.shape().num_elements(),
        Decay::Scalar(log) => log.shape().num_elements(),
        Decay::Vector(log) => log.shape().num_elements(),
    }
}

/// A speed in tokens per second, with its unit.
pub fn speed(tokens: u64, seconds: f64) -> String {
    let speed = tokens as f64 / seconds;
    if speed >= 1e6 { format!("{:.2} M", speed / 1e6) } else { format!("{:.0} k", speed / 1e3) }
}

/// Keeps `result` from being optimised away and waits until the device has computed it.
pub fn wait<T>(device: &Device, result: T) {
    device.sync().expect("the device computes");
    std::hint::black_box(result);
}

/// A short measurement: the operations take milliseconds and there are many of them.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}
