//! The way back.

use super::numbers::Numbers;
use super::pass::{Extents, Walk};
use super::rows::{Row, Rows, RowsMut, plus, vector};
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;
use std::marker::PhantomData;
use std::ops::Range;

/// Tokens whose gradients of a factor are summed up before they are added to those of all others.
const SUMMED: usize = 64;

#[derive(Clone, Copy)]
pub(super) struct Backward<'a, E, A, const P: usize> {
    pub extents: Extents,
    pub factor: Rows<'a, E, P>,
    /// The state before the first token.
    pub start: Rows<'a, E, P>,
    pub states: Rows<'a, E, P>,
    /// `[b, t]`, other than 0 where the state is cleared.
    pub resets: Option<&'a [E]>,
    /// The gradients of the states, and of the last one.
    pub upstream: Rows<'a, E, P>,
    pub upstream_last: Rows<'a, E, P>,
    pub d_input: RowsMut<'a, E, P>,
    /// `[b, t, d]`; or `[b, d]`, the sums over the tokens, where they share a factor.
    pub d_factor: RowsMut<'a, E, P>,
    pub d_start: RowsMut<'a, E, P>,
    pub numbers: PhantomData<A>,
}

impl<E: Real, A: Numbers<P>, const P: usize> Walk<E> for Backward<'_, E, A, P> {
    fn extents(&self) -> Extents {
        self.extents
    }

    #[inline(always)]
    fn walk<S: Simd>(self, simd: S, sequence: usize, channels: Range<usize>) {
        let time = self.extents.time;
        let shared = self.factor.stride == 0;
        let row = || Row::<E, P>::new(simd, channels.len());
        // What flows back from the next token, and the gradients of a token.
        let (mut flow, mut d_input, mut d_factor) = (row(), row(), row());
        let (mut few, mut sum) = (row(), row());
        flow.copy(self.upstream_last.row(sequence, &channels));
        for t in (0..time).rev() {
            let token = sequence * time + t;
            let before = match t {
                0 => self.start.row(sequence, &channels),
                _ => self.states.row(token - 1, &channels),
            };
            let (a, upstream) = (self.factor.row(token, &channels), self.upstream.row(token, &channels));
            for index in 0..channels.len().div_ceil(lanes::<S, E>()) {
                let gradient = plus::<S, E, P>(simd, flow.get(simd, index), vector(simd, upstream, index));
                d_input.set(simd, index, gradient);
                let of_factor = A::conjugate_times::<S, E>(simd, vector(simd, before, index), gradient);
                d_factor.set(simd, index, of_factor);
                let back = A::conjugate_times::<S, E>(simd, vector(simd, a, index), gradient);
                flow.set(simd, index, back);
            }
            if self.resets.is_some_and(|resets| resets[token] != E::default()) {
                flow.clear();
                d_factor.clear();
            }
            // SAFETY: every channel of every sequence is one task's.
            unsafe { self.d_input.write(token, &channels, &d_input) };
            if shared {
                few.take(&mut d_factor);
                if t % SUMMED == 0 {
                    sum.take(&mut few);
                }
            } else {
                // SAFETY: as above.
                unsafe { self.d_factor.write(token, &channels, &d_factor) };
            }
        }
        // SAFETY: as above.
        unsafe {
            if shared {
                self.d_factor.write(sequence, &channels, &sum);
            }
            self.d_start.write(sequence, &channels, &flow);
        }
    }
}
