//! The way forward.

use super::numbers::Numbers;
use super::pass::{Extents, Walk};
use super::rows::{Row, Rows, RowsMut, Source, vector};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::segments::Span;
use pulp::Simd;
use std::marker::PhantomData;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Forward<'a, E, A, const P: usize> {
    pub extents: Extents<'a>,
    /// In place where the states are written over it.
    pub input: Source<'a, E, P>,
    pub factor: Rows<'a, E, P>,
    pub start: Rows<'a, E, P>,
    /// `[b, t]`, other than 0 where the state is cleared.
    pub resets: Option<&'a [E]>,
    pub states: RowsMut<'a, E, P>,
    pub last: RowsMut<'a, E, P>,
    pub numbers: PhantomData<A>,
}

impl<E: Real, A: Numbers<P>, const P: usize> Walk<E> for Forward<'_, E, A, P> {
    fn extents(&self) -> Extents<'_> {
        self.extents
    }

    #[inline(always)]
    fn walk<S: Simd>(self, simd: S, sequence: Span, channels: Range<usize>) {
        let mut state = Row::<E, P>::new(simd, channels.len());
        state.copy(self.start.row(sequence.number, &channels));
        for token in sequence.first..sequence.first + sequence.length {
            if self.resets.is_some_and(|resets| resets[token] != E::default()) {
                state.clear();
            }
            let a = self.factor.row(token, &channels);
            // SAFETY: every channel of every sequence is one task's, which writes this token when it has read it.
            let x = unsafe { self.states.source(&self.input, token, &channels) };
            let vectors = channels.len() / lanes::<S, E>();
            for index in 0..vectors {
                step::<S, E, A, P, false>(simd, &mut state, (a, x), index);
            }
            if vectors * lanes::<S, E>() < channels.len() {
                step::<S, E, A, P, true>(simd, &mut state, (a, x), vectors);
            }
            // SAFETY: as above.
            unsafe { self.states.write(token, &channels, &state) };
        }
        // SAFETY: as above.
        unsafe { self.last.write(sequence.number, &channels, &state) };
    }
}

/// One vector of a token's channels.
#[inline(always)]
fn step<S: Simd, E: Real, A: Numbers<P>, const P: usize, const PARTIAL: bool>(
    simd: S,
    state: &mut Row<E, P>,
    (a, x): ([&[E]; P], [&[E]; P]),
    index: usize,
) {
    let a = vector::<S, E, P, PARTIAL>(simd, a, index);
    let x = vector::<S, E, P, PARTIAL>(simd, x, index);
    let after = A::step::<S, E>(simd, a, state.get(simd, index), x);
    state.set(simd, index, after);
}
