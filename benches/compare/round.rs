//! Everything about one shape, measured side by side within seconds.

use crate::measure::{DECAYS, Seconds, linear, product, softmax};
use crate::torch::{self, Torch};
use seqzoo::ops::Form;
use seqzoo_benches::Shape;
use std::path::Path;

/// What was measured.
#[derive(Debug)]
pub struct Round {
    /// For each of [`DECAYS`].
    pub kernel: [Seconds; 3],
    pub chunked: [Seconds; 3],
    pub softmax: Seconds,
    pub peer: Option<Torch>,
    /// Multiply-adds per second of the best 1024 x 1024 product.
    pub product: f64,
}

impl Round {
    /// The best of `rounds`, each figure by itself.
    ///
    /// A machine that others share slows down for seconds at a time, for us as for the peer. What one round has
    /// of that, another has not.
    pub fn best_of(rounds: usize, python: Option<&Path>, shape: Shape, runs: usize) -> Result<Self, String> {
        let first = Self::measure(python, shape, runs)?;
        (1..rounds).try_fold(first, |best, _| Ok(best.or(Self::measure(python, shape, runs)?)))
    }

    fn measure(python: Option<&Path>, shape: Shape, runs: usize) -> Result<Self, String> {
        let before = product();
        Ok(Self {
            kernel: DECAYS.map(|(name, _)| linear(name, Form::Kernel, shape, runs)),
            peer: python.map(|python| torch::measure(python, shape, runs)).transpose()?,
            chunked: DECAYS.map(|(name, _)| linear(name, Form::Chunked { size: 64 }, shape, runs)),
            softmax: softmax(shape, runs),
            product: before.max(product()),
        })
    }

    fn or(self, other: Self) -> Self {
        let all = |a: [Seconds; 3], b: [Seconds; 3]| std::array::from_fn(|index| a[index].or(b[index]));
        Self {
            kernel: all(self.kernel, other.kernel),
            chunked: all(self.chunked, other.chunked),
            softmax: self.softmax.or(other.softmax),
            peer: self.peer.zip(other.peer).map(|(a, b)| a.or(b)),
            product: self.product.max(other.product),
        }
    }
}
