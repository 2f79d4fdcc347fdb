//! Sums of log decays.

use super::places::Sequence;
use super::scores::Scores;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use pulp::Simd;
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// Stands for minus infinity, so that the difference of two sums is a number. Sums of it have no rounding.
const FORGETS: f64 = -((1u128 << 100) as f64);

/// What the scores of a tile may fall by for a sum in two parts to have all digits of the type.
const SMALL: f64 = 8.0;

/// The sum of the log decays of every key of a sequence and those before it.
///
/// A sum is an `f64` and what that has lost to rounding: the difference of two sums has all its digits, however long and
/// strong the decays before them are.
pub(super) struct LogDecays {
    sums: Vec<f64>, // of every sequence [h, keys]
    lost: Vec<f64>,
    /// How many log decays up to each key are NaN, if any is.
    nans: Option<Vec<u32>>,
    heads: usize,
}

/// Those of a head of a sequence.
struct Sums<'a> {
    sums: &'a [f64],
    lost: &'a [f64],
    nans: Option<&'a [u32]>,
}

impl LogDecays {
    /// `log_decay` of a sequence, a key and a head.
    pub fn new(
        sequences: &[Sequence],
        heads: usize,
        log_decay: impl Fn(&Sequence, usize, usize) -> f64,
    ) -> Self {
        let (mut sums, mut lost, mut nans) = (Vec::new(), Vec::new(), Vec::new());
        let mut any = false;
        for sequence in sequences {
            for head in 0..heads {
                let (mut sum, mut loss, mut count) = (0.0, 0.0, 0);
                for key in 0..sequence.keys() {
                    let mut decay = log_decay(sequence, key, head);
                    if decay.is_nan() {
                        (decay, any) = (0.0, true);
                        count += 1;
                    }
                    let rounding;
                    (sum, rounding) = sum_and_rounding(sum, decay.max(FORGETS));
                    loss += rounding;
                    sums.push(sum);
                    lost.push(loss);
                    nans.push(count);
                }
            }
        }
        Self { sums, lost, nans: any.then_some(nans), heads }
    }

    fn of(&self, sequence: &Sequence, head: usize) -> Sums<'_> {
        let first = sequence.keys_before * self.heads + head * sequence.keys();
        let all = first..first + sequence.keys();
        Sums {
            sums: &self.sums[all.clone()],
            lost: &self.lost[all.clone()],
            nans: self.nans.as_ref().map(|nans| &nans[all]),
        }
    }

    /// Adds to the scores of a tile, which are logarithms to the base 2, the sums of the log decays between queries and keys.
    #[inline(always)]
    pub fn add_to_tile<S: Simd, E: Real>(
        &self,
        simd: S,
        tile: &mut Scores<'_, E>,
        (sequence, head): (&Sequence, usize),
        (places, keys): (&Range<usize>, &Range<usize>),
        [of_queries, of_keys]: &mut [Buffer<E>; 2],
    ) {
        let sums = self.of(sequence, head);
        if sums.in_two_parts(places, keys) {
            // Counted from the first query: there, both parts are small where the score counts.
            let origin = places.start;
            for (to, place) in of_queries.iter_mut().zip(places.clone()) {
                *to = E::from_f64(sums.between(origin, place) * LOG2_E);
            }
            for (to, key) in of_keys.iter_mut().zip(keys.clone()) {
                *to = E::from_f64(sums.between(key, origin) * LOG2_E);
            }
            tile.add(simd, of_queries, of_keys);
            return;
        }
        let (to, lost) = (&sums.sums[places.clone()], &sums.lost[places.clone()]);
        for (row, key) in tile.numbers.chunks_exact_mut(tile.columns).zip(keys.clone()) {
            let (from, lost_from) = (sums.sums[key], sums.lost[key]);
            for (score, (to, lost)) in row.iter_mut().zip(to.iter().zip(lost)) {
                *score += E::from_f64(((to - from) + (lost - lost_from)) * LOG2_E);
            }
        }
        if sums.nans.is_some() {
            for (row, key) in tile.numbers.chunks_exact_mut(tile.columns).zip(keys.clone()) {
                for (score, place) in row.iter_mut().zip(places.clone()) {
                    if sums.has_nan_between(key, place) {
                        *score = E::from_f64(f64::NAN);
                    }
                }
            }
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
        for (score, key) in scores.iter_mut().zip(keys.clone()) {
            let nan = sums.has_nan_between(key, place);
            *score += E::from_f64(if nan { f64::NAN } else { sums.between(key, place) * LOG2_E });
        }
    }
}

impl Sums<'_> {
    /// The sum of the log decays after `key` up to that at `place`.
    #[inline(always)]
    fn between(&self, key: usize, place: usize) -> f64 {
        (self.sums[place] - self.sums[key]) + (self.lost[place] - self.lost[key])
    }

    #[inline(always)]
    fn has_nan_between(&self, key: usize, place: usize) -> bool {
        self.nans.is_some_and(|nans| nans[place] != nans[key])
    }

    /// Whether the sums of a tile may be a number of the query and one of the key. Where keys lie among the queries one of
    /// the two is positive, and digits are lost unless both are small.
    #[inline(always)]
    fn in_two_parts(&self, places: &Range<usize>, keys: &Range<usize>) -> bool {
        let last = places.end.min(self.sums.len()) - 1;
        let apart = keys.end <= places.start + 1 || -self.between(places.start, last) <= SMALL;
        apart && !self.has_nan_between(keys.start, last)
    }
}

/// `a + b` as it is rounded, and what that is too much or too little.
fn sum_and_rounding(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of these log decays are as good as if nothing were before them.
    fn check(decays: &[f64], most: f64) {
        let sequence = Sequence {
            row: 0,
            start: 0,
            tokens: decays.len(),
            answers: true,
            cache_row: 0,
            cache_start: 0,
            cached: 0,
            number: 0,
            keys_before: 0,
            tiles_before: 0,
        };
        let sums = LogDecays::new(&[sequence], 1, |_, key, _| decays[key]);
        let sums = sums.of(&sequence, 0);
        for key in 0..decays.len() {
            for place in key..decays.len() {
                let wanted: f64 = decays[key + 1..=place].iter().map(|decay| decay.max(FORGETS)).sum();
                let error = (sums.between(key, place) - wanted).abs();
                assert!(error <= most * wanted.abs(), "{key}..={place}: {error:e}");
            }
        }
    }

    #[test]
    fn small_log_decays_keep_their_digits_after_strong_ones() {
        check(&[-1e8, -0.3, -1e8, -1e-9, -30.0, -1e12, -0.2, -0.0, -2e-5], 1e-15);
    }

    #[test]
    fn small_log_decays_keep_their_digits_after_infinite_ones() {
        let infinite = f64::NEG_INFINITY;
        check(&[infinite, -0.3, infinite, -1e-4, -30.0, infinite, -0.2], 1e-9);
    }
}
