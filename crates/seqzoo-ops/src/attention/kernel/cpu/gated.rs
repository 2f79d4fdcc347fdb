//! Scores of a block whose last key is its landmark: a softmax inside the block, times the weight of the landmark.

use super::places::Reach;
use super::scores::{Columns, Running, Scores, load, over_columns, store};
use crate::kernel::cpu::lanes::Real;
use pulp::Simd;
use std::ops::Range;

impl<E: Real> Scores<'_, E> {
    /// Hides the landmark, the last key, from queries at places before `from`.
    #[inline(always)]
    pub fn hide_gate<S: Simd>(&mut self, simd: S, count: &[E], queries: &Range<usize>, from: usize) {
        if from <= queries.start {
            return;
        }
        let last = self.numbers.len() - self.columns;
        let mut gate = Scores { numbers: &mut self.numbers[last..], columns: self.columns };
        // Queries from `from` on see a key there.
        let reach = Reach { bidirectional: false, window: usize::MAX };
        gate.hide(simd, count, reach, queries, from..from + 1, usize::MAX);
    }
}

impl<E: Real> Running<E> {
    /// Puts the weights of the other keys in place of their scores, as they are before the division by the sum.
    #[inline(always)]
    pub fn absorb_gated<S: Simd>(&mut self, simd: S, scores: &mut Scores<'_, E>) {
        let columns = scores.columns;
        over_columns(simd, columns, &mut Absorb { running: self, scores });
    }
}

/// `e^(s - m)` in place of scores, and their sum.
#[inline(always)]
fn inside<S: Simd, E: Real, const N: usize>(
    simd: S,
    scores: &mut [E],
    stride: usize,
    column: usize,
) -> [E::Vector<S>; N] {
    let mut most = [E::splat(simd, E::from_f64(super::scores::HIDDEN)); N];
    for row in scores.chunks_exact(stride) {
        let row = load::<S, E, N>(&row[column..]);
        for (most, score) in most.iter_mut().zip(row) {
            *most = E::if_less(simd, *most, score, score, *most);
        }
    }
    let mut sum = [E::splat(simd, E::default()); N];
    for row in scores.chunks_exact_mut(stride) {
        let mut numbers = load::<S, E, N>(&row[column..]);
        for vector in 0..N {
            numbers[vector] = E::exp2(simd, E::minus(simd, numbers[vector], most[vector]));
            sum[vector] = E::plus(simd, sum[vector], numbers[vector]);
        }
        store::<S, E, N>(&mut row[column..], numbers);
    }
    sum
}

struct Absorb<'a, 'b, E> {
    running: &'a mut Running<E>,
    scores: &'a mut Scores<'b, E>,
}

impl<E: Real> Columns<E> for Absorb<'_, '_, E> {
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize) {
        let Self { running, scores } = self;
        let stride = scores.columns;
        let (ordinary, gate) = scores.numbers.split_at_mut(scores.numbers.len() - stride);
        let gate = load::<S, E, N>(&gate[column..]);
        let sum_inside = inside::<S, E, N>(simd, ordinary, stride, column);

        let before = load::<S, E, N>(&running.most[column..]);
        let (mut most, mut fade, mut share) = (before, before, before);
        let mut sum = load::<S, E, N>(&running.sum[column..]);
        for vector in 0..N {
            most[vector] = E::if_less(simd, before[vector], gate[vector], gate[vector], before[vector]);
            fade[vector] = E::exp2(simd, E::minus(simd, before[vector], most[vector]));
            let weight = E::exp2(simd, E::minus(simd, gate[vector], most[vector]));
            sum[vector] = E::mul_add(simd, sum[vector], fade[vector], weight);
            share[vector] = E::over(simd, weight, sum_inside[vector]);
        }
        for row in ordinary.chunks_exact_mut(stride) {
            let mut weights = load::<S, E, N>(&row[column..]);
            for vector in 0..N {
                weights[vector] = E::times(simd, weights[vector], share[vector]);
            }
            store::<S, E, N>(&mut row[column..], weights);
        }
        store::<S, E, N>(&mut running.most[column..], most);
        store::<S, E, N>(&mut running.fade[column..], fade);
        store::<S, E, N>(&mut running.sum[column..], sum);
    }
}

/// From scores to weights, and from the gradients of weights to those of scores. The landmark has the weight 0.
pub(super) struct ThroughGate<'a, E> {
    pub scores: &'a mut [E],
    pub d_scores: &'a mut [E],
    pub most: &'a [E],
    pub shares: &'a [E],
    pub deltas: &'a [E],
    pub stride: usize,
}

impl<E: Real> Columns<E> for ThroughGate<'_, E> {
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize) {
        let stride = self.stride;
        let last = self.scores.len() - stride;
        let (ordinary, gate) = self.scores.split_at_mut(last);
        let (d_ordinary, d_gate) = self.d_scores.split_at_mut(last);
        let sum_inside = inside::<S, E, N>(simd, ordinary, stride, column);
        let zero = E::splat(simd, E::default());
        let one = E::splat(simd, E::ONE);

        let mut weight = load::<S, E, N>(&gate[column..]);
        let most = load::<S, E, N>(&self.most[column..]);
        let shares = load::<S, E, N>(&self.shares[column..]);
        let deltas = load::<S, E, N>(&self.deltas[column..]);
        let mut share_inside = sum_inside;
        for vector in 0..N {
            let exponential = E::exp2(simd, E::minus(simd, weight[vector], most[vector]));
            weight[vector] = E::times(simd, exponential, shares[vector]);
            share_inside[vector] = E::over(simd, one, sum_inside[vector]);
        }
        // The gradient of the weight of the landmark: the mean of those of its block.
        let mut mean = [zero; N];
        for (row, d_row) in ordinary.chunks_exact_mut(stride).zip(d_ordinary.chunks_exact(stride)) {
            let mut weights = load::<S, E, N>(&row[column..]);
            let gradients = load::<S, E, N>(&d_row[column..]);
            for vector in 0..N {
                weights[vector] = E::times(simd, weights[vector], share_inside[vector]);
                mean[vector] = E::mul_add(simd, weights[vector], gradients[vector], mean[vector]);
                weights[vector] = E::times(simd, weights[vector], weight[vector]);
            }
            store::<S, E, N>(&mut row[column..], weights);
        }
        for (row, d_row) in ordinary.chunks_exact(stride).zip(d_ordinary.chunks_exact_mut(stride)) {
            let weights = load::<S, E, N>(&row[column..]);
            let mut gradients = load::<S, E, N>(&d_row[column..]);
            for vector in 0..N {
                let less = E::minus(simd, gradients[vector], mean[vector]);
                gradients[vector] = E::times(simd, weights[vector], less);
            }
            store::<S, E, N>(&mut d_row[column..], gradients);
        }
        let mut gradients = mean;
        for vector in 0..N {
            gradients[vector] = E::times(simd, weight[vector], E::minus(simd, mean[vector], deltas[vector]));
        }
        store::<S, E, N>(&mut gate[column..], [zero; N]);
        store::<S, E, N>(&mut d_gate[column..], gradients);
    }
}
