//! Timed runs of this library.

use burn::tensor::{Device, Distribution, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo_benches::{Shape, Subject, tokens, wait};
use std::time::{Duration, Instant};

/// Median seconds of a forward pass, and of a forward and a backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    pub forward: f64,
    pub both: Option<f64>,
}

impl Seconds {
    /// The better of two measurements.
    pub fn or(self, other: Self) -> Self {
        let both = self.both.zip(other.both).map(|(a, b)| a.min(b));
        Self { forward: self.forward.min(other.forward), both }
    }
}

/// `subject` in `form`, with `Σ o²` as the loss, as the PyTorch peer has it.
pub fn seconds(subject: Subject, form: Form, shape: Shape, runs: usize) -> Seconds {
    let device = Device::default();
    let call = subject.call(shape, &device);
    let forward = median(runs, || wait(&device, call.run(form)));
    let device = Device::default().autodiff();
    let call = subject.call(shape, &device).tracked();
    let both = median(runs, || wait(&device, call.run(form).square().sum().backward()));
    Seconds { forward, both: Some(both) }
}

/// The loss of a backward pass and its gradient, by themselves.
pub fn loss(shape: Shape, runs: usize) -> f64 {
    let device = Device::default().autodiff();
    let output = tokens(shape, &device).require_grad();
    median(runs, || wait(&device, output.clone().square().sum().backward()))
}

/// Softmax attention; the backward pass keeps all scores and is left out for long sequences.
pub fn softmax(shape: Shape, runs: usize) -> Seconds {
    let device = Device::default();
    let [q, k, v] = [(); 3].map(|()| tokens(shape, &device));
    let forward = median(runs, || {
        wait(&device, attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default()));
    });
    let both = (shape.time < 8192).then(|| {
        let device = Device::default().autodiff();
        let [q, k, v] = [(); 3].map(|()| tokens(shape, &device).require_grad());
        median(runs, || {
            let (o, _) = attention(q.clone(), k.clone(), v.clone(), AttentionOptions::default());
            wait(&device, o.square().sum().backward());
        })
    });
    Seconds { forward, both }
}

/// One token after another: seconds per token at the start and after `position` tokens.
pub fn step(subject: Subject, shape: Shape, position: usize, runs: usize) -> [f64; 2] {
    let device = Device::default();
    let mut call = subject.call(Shape { time: 1, ..shape }, &device);
    let mut advance = |count: usize| {
        for _ in 0..count {
            wait(&device, call.step());
        }
    };
    let batch = 200;
    let early = median(runs, || advance(batch)) / batch as f64;
    advance(position);
    [early, median(runs, || advance(batch)) / batch as f64]
}

/// Multiply-adds per second of one product of two 1024 x 1024 matrices: the best of many.
pub fn product() -> f64 {
    let device = Device::default();
    let side = 1024;
    let square = || Tensor::<2>::random([side, side], Distribution::Normal(0.0, 1.0), &device);
    let (a, b) = (square(), square());
    let best = (0..30).map(|_| {
        let start = Instant::now();
        wait(&device, a.clone().matmul(b.clone()));
        start.elapsed().as_secs_f64()
    });
    (side * side * side) as f64 / best.fold(f64::INFINITY, f64::min)
}

/// The median of at least `runs` runs, and of as many as fit into a quarter of a second; two go before.
fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    run();
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < runs || (times.len() < 101 && start.elapsed() < Duration::from_millis(250)) {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
