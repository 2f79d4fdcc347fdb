//! The way back.

use super::numbers::Numbers;
use super::pass::{Extents, Walk};
use super::rows::{Row, Rows, RowsMut, Source, plus, vector};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::segments::Span;
use pulp::Simd;
use std::marker::PhantomData;
use std::ops::Range;

/// Tokens whose gradients of a factor are summed up before they are added to those of all others.
const SUMMED: usize = 64;

#[derive(Clone, Copy)]
pub(super) struct Backward<'a, E, A, const P: usize> {
    pub extents: Extents<'a>,
    pub factor: Rows<'a, E, P>,
    /// The state before the first token.
    pub start: Rows<'a, E, P>,
    /// In place where the gradients of the factors are written over them: a token's state is read by the next token
    /// alone, which is done by then.
    pub states: Source<'a, E, P>,
    /// `[b, t]`, other than 0 where the state is cleared.
    pub resets: Option<&'a [E]>,
    /// The gradients of the states, in place where those of the inputs are written over them; and of the last one.
    pub upstream: Source<'a, E, P>,
    pub upstream_last: Rows<'a, E, P>,
    pub d_input: RowsMut<'a, E, P>,
    /// `[b, t, d]`; or one for every sequence, the sums over its tokens, where they share a factor.
    pub d_factor: RowsMut<'a, E, P>,
    pub d_start: RowsMut<'a, E, P>,
    pub numbers: PhantomData<A>,
}

impl<E: Real, A: Numbers<P>, const P: usize> Walk<E> for Backward<'_, E, A, P> {
    fn extents(&self) -> Extents<'_> {
        self.extents
    }

    #[inline(always)]
    fn walk<S: Simd>(self, simd: S, sequence: Span, channels: Range<usize>) {
        let shared = self.factor.stride == 0;
        let row = || Row::<E, P>::new(simd, channels.len());
        let mut made = Made { flow: row(), d_input: row(), d_factor: row() };
        let (mut few, mut sum) = (row(), row());
        made.flow.copy(self.upstream_last.row(sequence.number, &channels));
        for t in (0..sequence.length).rev() {
            let token = sequence.first + t;
            let a = self.factor.row(token, &channels);
            let before = match t {
                0 => self.start.row(sequence.number, &channels),
                // SAFETY: every channel of every sequence is one task's, which writes a token when it has read it.
                _ => unsafe { self.d_factor.source(&self.states, token - 1, &channels) },
            };
            // SAFETY: as above.
            let upstream = unsafe { self.d_input.source(&self.upstream, token, &channels) };
            let given = Given { a, before, upstream };
            let vectors = channels.len() / lanes::<S, E>();
            // From the last channel to the first, as from token to token: the processor fetches ahead what goes one way.
            if vectors * lanes::<S, E>() < channels.len() {
                made.step::<S, A, true>(simd, &given, vectors);
            }
            for index in (0..vectors).rev() {
                made.step::<S, A, false>(simd, &given, index);
            }
            if self.resets.is_some_and(|resets| resets[token] != E::default()) {
                made.flow.clear();
                made.d_factor.clear();
            }
            // SAFETY: as above.
            unsafe { self.d_input.write(token, &channels, &made.d_input) };
            if shared {
                few.take(&mut made.d_factor);
                if t % SUMMED == 0 {
                    sum.take(&mut few);
                }
            } else {
                // SAFETY: as above.
                unsafe { self.d_factor.write(token, &channels, &made.d_factor) };
            }
        }
        // SAFETY: as above.
        unsafe {
            if shared {
                self.d_factor.write(sequence.number, &channels, &sum);
            }
            self.d_start.write(sequence.number, &channels, &made.flow);
        }
    }
}

/// What a token is given: its factors, the state before it, and the gradients of the state after it.
struct Given<'a, E, const P: usize> {
    a: [&'a [E]; P],
    before: [&'a [E]; P],
    upstream: [&'a [E]; P],
}

/// What a token makes.
struct Made<E, const P: usize> {
    /// The gradients of the state that flow back from the tokens after.
    flow: Row<E, P>,
    d_input: Row<E, P>,
    d_factor: Row<E, P>,
}

impl<E: Real, const P: usize> Made<E, P> {
    /// One vector of a token's channels.
    #[inline(always)]
    fn step<S: Simd, A: Numbers<P>, const PARTIAL: bool>(
        &mut self,
        simd: S,
        given: &Given<'_, E, P>,
        index: usize,
    ) {
        let upstream = vector::<S, E, P, PARTIAL>(simd, given.upstream, index);
        let gradient = plus::<S, E, P>(simd, self.flow.get(simd, index), upstream);
        self.d_input.set(simd, index, gradient);
        let before = vector::<S, E, P, PARTIAL>(simd, given.before, index);
        self.d_factor.set(simd, index, A::conjugate_times::<S, E>(simd, before, gradient));
        let a = vector::<S, E, P, PARTIAL>(simd, given.a, index);
        self.flow.set(simd, index, A::conjugate_times::<S, E>(simd, a, gradient));
    }
}
