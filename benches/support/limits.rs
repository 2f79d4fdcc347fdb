//! What this machine can do at most.

use crate::{least, product, wait};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::kernel_functions::sum_of_exponentials;

/// Per second, each the best that anyone reached in this run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Multiply-adds of a product of two 1024 x 1024 matrices.
    pub product: f64,
    /// Exponentials of numbers in cache.
    pub exponentials: f64,
    /// Bytes of the sum of two long arrays.
    pub bytes: f64,
}

impl Limits {
    /// This library's and Burn's.
    pub fn ours() -> Self {
        let numbers: Vec<f32> = (0..1 << 18).map(|i| -(i as f32) * 1e-5).collect();
        let exponentials = least(200, || {
            std::hint::black_box(sum_of_exponentials(std::hint::black_box(&numbers)));
        });
        let device = Device::default();
        let long = || Tensor::<1>::ones([1 << 24], &device);
        let other = long();
        // In place: two arrays are read and one is written.
        let mut sum = Some(long());
        let bytes = least(10, || {
            sum = sum.take().map(|sum| sum + other.clone());
            wait(&device, ());
        });
        Self {
            product: product(),
            exponentials: numbers.len() as f64 / exponentials,
            bytes: (12 << 24) as f64 / bytes,
        }
    }

    /// The better of each.
    pub fn or(self, other: Self) -> Self {
        Self {
            product: self.product.max(other.product),
            exponentials: self.exponentials.max(other.exponentials),
            bytes: self.bytes.max(other.bytes),
        }
    }
}
