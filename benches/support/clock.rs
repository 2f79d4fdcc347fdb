//! Times, and what this machine can do at most.

use crate::wait;
use burn::tensor::{Device, Distribution, Tensor};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// Median seconds of a forward pass, and of a forward and a backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    /// Of the forward pass.
    pub forward: f64,
    /// Of both.
    pub both: Option<f64>,
}

impl Seconds {
    /// The better of two measurements.
    pub fn or(self, other: Self) -> Self {
        let both = self.both.zip(other.both).map(|(a, b)| a.min(b));
        Self { forward: self.forward.min(other.forward), both }
    }
}

/// Multiply-adds per second of one product of two 1024 x 1024 matrices: the best of many.
pub fn product() -> f64 {
    let device = Device::default();
    let side = 1024;
    let square = || Tensor::<2>::random([side, side], Distribution::Normal(0.0, 1.0), &device);
    let (a, b) = (square(), square());
    (side * side * side) as f64 / least(30, || wait(&device, a.clone().matmul(b.clone())))
}

/// Bytes per second at which all cores read that many, again and again: from a cache where they fit into one.
pub fn reading(bytes: usize) -> f64 {
    let numbers = vec![1.0f32; bytes / size_of::<f32>()];
    let part = numbers.len().div_ceil(rayon::current_num_threads());
    let sum = |numbers: &[f32]| {
        let mut sums = [0.0; 64];
        for numbers in numbers.as_chunks::<64>().0 {
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum += number;
            }
        }
        sums.iter().sum::<f32>()
    };
    let seconds = least(30, || {
        std::hint::black_box(numbers.par_chunks(part).map(sum).sum::<f32>());
    });
    bytes as f64 / seconds
}

/// The least seconds of `count` runs.
pub fn least(count: usize, mut run: impl FnMut()) -> f64 {
    let times = (0..count).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// The median of at least `runs` runs, and of as many as fit into a quarter of a second; two go before.
pub fn median(runs: usize, mut run: impl FnMut()) -> f64 {
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
