//! Sums of log decays.

use super::places::Sequence;
use crate::kernel::cpu::lanes::Real;
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// The sum of the log decays of every key of a sequence and those before it, in `f64`, as differences of long sums are
/// wanted.
pub(super) struct LogDecays {
    sums: Vec<f64>, // of every sequence [h, keys]
    heads: usize,
}

impl LogDecays {
    /// `log_decay` of a sequence, a key and a head.
    pub fn new(
        sequences: &[Sequence],
        heads: usize,
        log_decay: impl Fn(&Sequence, usize, usize) -> f64,
    ) -> Self {
        let mut sums = Vec::new();
        for sequence in sequences {
            for head in 0..heads {
                let mut sum = 0.0;
                sums.extend((0..sequence.keys()).map(|key| {
                    sum += log_decay(sequence, key, head);
                    sum
                }));
            }
        }
        Self { sums, heads }
    }

    fn of(&self, sequence: &Sequence, head: usize) -> &[f64] {
        &self.sums[sequence.keys_before * self.heads + head * sequence.keys()..][..sequence.keys()]
    }

    /// What the scores of a tile gain, as logarithms to the base 2, in a part of the query and one of the key: the sum of
    /// the log decays between them.
    pub fn parts<E: Real>(
        &self,
        sequence: &Sequence,
        head: usize,
        places: &Range<usize>,
        keys: &Range<usize>,
        of_queries: &mut [E],
        of_keys: &mut [E],
    ) {
        let sums = self.of(sequence, head);
        // Beside the first query: there, both parts are small where the score counts.
        let origin = sums[places.start];
        let part = |difference: f64| E::from_f64(difference * LOG2_E);
        for (to, sum) in of_queries.iter_mut().zip(&sums[places.clone()]) {
            *to = part(sum - origin);
        }
        for (to, sum) in of_keys.iter_mut().zip(&sums[keys.clone()]) {
            *to = part(origin - sum);
        }
    }

    /// Adds to the scores of a query the sum of the log decays between it and each of `keys`.
    pub fn add<E: Real>(
        &self,
        sequence: &Sequence,
        head: usize,
        place: usize,
        keys: &Range<usize>,
        scores: &mut [E],
    ) {
        let sums = self.of(sequence, head);
        for (score, sum) in scores.iter_mut().zip(&sums[keys.clone()]) {
            *score += E::from_f64((sums[place] - sum) * LOG2_E);
        }
    }
}
