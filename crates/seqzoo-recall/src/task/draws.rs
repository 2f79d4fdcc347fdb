//! Counter-based randomness: the coordinates of an example are the key of its stream.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Training or test data; the two never share an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The model learns from it.
    Train,
    /// The model is scored on it.
    Test,
}

impl Split {
    /// What a task has for this split.
    pub(super) fn of<'a, T>(self, train: &'a [T], test: &'a [T]) -> &'a [T] {
        match self {
            Self::Train => train,
            Self::Test => test,
        }
    }
}

/// Where an example stands: these four numbers are all that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// The seed of the data.
    pub seed: u64,
    /// Training or test.
    pub split: Split,
    /// The segment of the split.
    pub segment: u64,
    /// The example of the segment.
    pub index: u64,
}

/// The random numbers of one example: ChaCha8 keyed by its coordinates. The draws are defined here
/// and not by a library, so that the data never changes with a dependency.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of the example at `at`.
    pub fn new(at: Coordinates) -> Self {
        let split = match at.split {
            Split::Train => 0u64,
            Split::Test => 1,
        };
        let mut key = [0; 32];
        for (part, number) in key.chunks_exact_mut(8).zip([at.seed, split, at.segment, at.index]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `0 .. bound` (multiply and shift; the bias is below 2⁻³²).
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Uniform in the open interval (0, 1).
    pub fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Normal with mean 0 and variance 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }

    /// `count` distinct numbers of `0 .. bound`, in random order: the first steps of a Fisher-Yates
    /// shuffle.
    pub fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..bound).collect();
        for i in 0..count {
            let other = i + self.below(bound - i);
            pool.swap(i, other);
        }
        pool.truncate(count);
        pool
    }

    /// `count` indices drawn one after the other without replacement, each in proportion to its
    /// weight among those left, in the order drawn.
    ///
    /// Adding Gumbel noise to the log weights and sorting gives the same law (Vieira 2014; Kool et
    /// al. 2019, <https://arxiv.org/abs/1903.06059>, sec. 2).
    pub fn weighted(&mut self, count: usize, log_weights: impl Iterator<Item = f64>) -> Vec<usize> {
        let mut scored: Vec<(f64, usize)> =
            log_weights.enumerate().map(|(index, log)| (log - (-self.unit().ln()).ln(), index)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(count).map(|(_, index)| index).collect()
    }
}
