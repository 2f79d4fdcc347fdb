//! Everything about one shape, measured side by side within seconds.

use crate::measure::{seconds, softmax};
use crate::torch::{self, Torch};
use seqzoo::ops::Form;
use seqzoo_benches::{Seconds, Shape, Subject, product};
use std::path::Path;

/// What was measured.
#[derive(Debug)]
pub struct Round {
    /// For each subject.
    pub kernel: Vec<Seconds>,
    pub chunked: Vec<Seconds>,
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
    pub fn best_of(
        rounds: usize,
        python: Option<&Path>,
        subjects: &[Subject],
        shape: Shape,
        runs: usize,
    ) -> Result<Self, String> {
        let first = Self::measure(python, subjects, shape, runs)?;
        (1..rounds).try_fold(first, |best, _| Ok(best.or(Self::measure(python, subjects, shape, runs)?)))
    }

    fn measure(
        python: Option<&Path>,
        subjects: &[Subject],
        shape: Shape,
        runs: usize,
    ) -> Result<Self, String> {
        let before = product();
        let all = |form| subjects.iter().map(|subject| seconds(*subject, form, shape, runs)).collect();
        Ok(Self {
            kernel: all(Form::Kernel),
            peer: python.map(|python| torch::measure(python, subjects, shape, runs)).transpose()?,
            chunked: all(Form::Chunked { size: 64 }),
            softmax: softmax(shape, runs),
            product: before.max(product()),
        })
    }

    fn or(self, other: Self) -> Self {
        let all = |a: Vec<Seconds>, b: Vec<Seconds>| a.into_iter().zip(b).map(|(a, b)| a.or(b)).collect();
        Self {
            kernel: all(self.kernel, other.kernel),
            chunked: all(self.chunked, other.chunked),
            softmax: self.softmax.or(other.softmax),
            peer: self.peer.zip(other.peer).map(|(a, b)| a.or(b)),
            product: self.product.max(other.product),
        }
    }
}
