//! The scores of a tile, keys by queries: each column belongs to a query, so that vectors hold many queries.
//!
//! They are logarithms to the base 2.

use super::places::Reach;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;
use std::ops::Range;

/// Stands for minus infinity, so that the difference of two is a number.
pub(super) const HIDDEN: f64 = -1e30;

/// Vectors of columns that are worked on together.
const TOGETHER: usize = 4;

/// A tile of scores.
pub(super) struct Scores<'a, E> {
    pub numbers: &'a mut [E], // [keys, columns]
    /// Columns, whole vectors.
    pub columns: usize,
}

/// What is done to some columns of a tile, `N` vectors from the column given.
pub(super) trait Columns<E: Real> {
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize);
}

/// Goes over all columns, several vectors at a time.
#[inline(always)]
pub(super) fn over_columns<S: Simd, E: Real>(simd: S, columns: usize, work: &mut impl Columns<E>) {
    let width = lanes::<S, E>();
    let mut column = 0;
    while column + TOGETHER * width <= columns {
        work.columns::<S, TOGETHER>(simd, column);
        column += TOGETHER * width;
    }
    while column < columns {
        work.columns::<S, 1>(simd, column);
        column += width;
    }
}

/// `N` vectors from the start of `numbers`.
#[inline(always)]
pub(super) fn load<S: Simd, E: Real, const N: usize>(numbers: &[E]) -> [E::Vector<S>; N] {
    E::vectors::<S>(numbers).first_chunk::<N>().copied().expect("columns are whole vectors")
}

#[inline(always)]
pub(super) fn store<S: Simd, E: Real, const N: usize>(numbers: &mut [E], vectors: [E::Vector<S>; N]) {
    *E::vectors_mut::<S>(numbers).first_chunk_mut::<N>().expect("columns are whole vectors") = vectors;
}

impl<E: Real> Scores<'_, E> {
    /// Hides the keys that a query does not see, from queries at places from `until` on all.
    #[inline(always)]
    pub fn hide<S: Simd>(
        &mut self,
        simd: S,
        count: &[E],
        reach: Reach,
        queries: &Range<usize>,
        keys: Range<usize>,
        until: usize,
    ) {
        let hidden = E::splat(simd, E::from_f64(HIDDEN));
        for (key, row) in keys.zip(self.numbers.chunks_exact_mut(self.columns)) {
            let seen = reach.queries(key..key + 1, queries.end.min(until));
            let [first, end] = [seen.start, seen.end].map(|place| {
                E::splat(simd, E::from_f64(place.saturating_sub(queries.start).min(queries.len()) as f64))
            });
            for (scores, number) in E::vectors_mut::<S>(row).iter_mut().zip(E::vectors::<S>(count)) {
                let late = E::if_less(simd, *number, end, *scores, hidden);
                *scores = E::if_less(simd, *number, first, hidden, late);
            }
        }
    }

    /// Adds a number of its query and one of its key to each score.
    #[inline(always)]
    pub fn add<S: Simd>(&mut self, simd: S, of_queries: &[E], of_keys: &[E]) {
        for (row, key) in self.numbers.chunks_exact_mut(self.columns).zip(of_keys) {
            let key = E::splat(simd, *key);
            for (scores, query) in E::vectors_mut::<S>(row).iter_mut().zip(E::vectors::<S>(of_queries)) {
                *scores = E::plus(simd, *scores, E::plus(simd, *query, key));
            }
        }
    }
}

/// Softmax over keys that come tile by tile: the largest score so far, and the sum of exponentials less it.
pub(super) struct Running<E> {
    pub most: Buffer<E>,
    pub sum: Buffer<E>,
    /// What the sums before the last tile are multiplied with.
    pub fade: Buffer<E>,
}

impl<E: Real> Running<E> {
    pub fn new(columns: usize) -> Self {
        let [most, sum, fade] = [(); 3].map(|()| Buffer::new(columns));
        Self { most, sum, fade }
    }

    pub fn restart(&mut self) {
        self.most.fill(E::from_f64(HIDDEN));
        self.sum.fill(E::default());
    }

    /// Puts exponentials in place of the scores of further keys.
    ///
    /// While a query has seen no key its exponentials are wrong, but finite, and the first key that it sees fades them to 0.
    #[inline(always)]
    pub fn absorb<S: Simd>(&mut self, simd: S, scores: &mut Scores<'_, E>) {
        let columns = scores.columns;
        over_columns(simd, columns, &mut Absorb { running: self, scores });
    }
}

struct Absorb<'a, 'b, E> {
    running: &'a mut Running<E>,
    scores: &'a mut Scores<'b, E>,
}

impl<E: Real> Columns<E> for Absorb<'_, '_, E> {
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize) {
        let Self { running, scores } = self;
        let columns = scores.columns;
        let before = load::<S, E, N>(&running.most[column..]);
        let mut most = before;
        for row in scores.numbers.chunks_exact(columns) {
            let row = load::<S, E, N>(&row[column..]);
            for (most, score) in most.iter_mut().zip(row) {
                *most = E::if_less(simd, *most, score, score, *most);
            }
        }
        let mut fade = before;
        let mut sum = load::<S, E, N>(&running.sum[column..]);
        for vector in 0..N {
            fade[vector] = E::exp2(simd, E::minus(simd, before[vector], most[vector]));
            sum[vector] = E::times(simd, sum[vector], fade[vector]);
        }
        for row in scores.numbers.chunks_exact_mut(columns) {
            let mut row_scores = load::<S, E, N>(&row[column..]);
            for vector in 0..N {
                row_scores[vector] = E::exp2(simd, E::minus(simd, row_scores[vector], most[vector]));
                sum[vector] = E::plus(simd, sum[vector], row_scores[vector]);
            }
            store::<S, E, N>(&mut row[column..], row_scores);
        }
        store::<S, E, N>(&mut running.most[column..], most);
        store::<S, E, N>(&mut running.fade[column..], fade);
        store::<S, E, N>(&mut running.sum[column..], sum);
    }
}
