//! Random numbers whose place in the stream can be saved.

use burn::tensor::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A generator of random numbers (ChaCha8) that can be written with serde and read again, and then goes on as if
/// nothing had happened.
///
/// The generators of devices cannot be read in Burn. Give them a [seed from here](Self::seed_device) before each
/// step, and what the step draws follows from the checkpoint too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number of 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `0 .. bound` (multiply and shift); 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Seeds the generator of `device`, which all threads share, with the next number.
    pub fn seed_device(&mut self, device: &Device) {
        device.seed(self.bits());
    }
}
