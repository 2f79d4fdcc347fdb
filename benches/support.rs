//! What the benchmarks share: shapes, inputs, and waiting for the device.

use burn::tensor::{Device, Distribution, Tensor, activation::log_sigmoid, activation::sigmoid};
use criterion::Criterion;
use seqzoo::ops::linear_attention::Decay;
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

/// Strengths of the delta rule: sigmoids of normal numbers, `[B, T, H]`.
pub fn strengths(shape: Shape, device: &Device) -> Tensor<3> {
    let Shape { batch, time, heads, .. } = shape;
    sigmoid(Tensor::random([batch, time, heads], Distribution::Normal(0.0, 1.0), device))
}

/// The decays measured, by name: log-sigmoids of normal numbers over 16, as gates start out.
pub fn decays(shape: Shape, device: &Device) -> [(&'static str, Decay); 4] {
    let Shape { batch, time, heads, .. } = shape;
    let vector = log_sigmoid(tokens(shape, device)) / 16.0;
    let scalar = Tensor::random([batch, time, heads], Distribution::Normal(0.0, 1.0), device);
    [
        ("none", Decay::None),
        ("per head", Decay::PerHead(Tensor::full([heads], -0.03, device))),
        ("scalar", Decay::Scalar(log_sigmoid(scalar) / 16.0)),
        ("vector", Decay::Vector(vector)),
    ]
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
