//! The way forward.

use super::numbers::Numbers;
use super::pass::{Extents, Walk};
use super::rows::{Row, Rows, RowsMut, vector};
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;
use std::marker::PhantomData;
use std::ops::Range;

#[derive(Clone, Copy)]
pub(super) struct Forward<'a, E, A, const P: usize> {
    pub extents: Extents,
    pub input: Rows<'a, E, P>,
    pub factor: Rows<'a, E, P>,
    pub start: Rows<'a, E, P>,
    /// `[b, t]`, other than 0 where the state is cleared.
    pub resets: Option<&'a [E]>,
    pub states: RowsMut<'a, E, P>,
    pub last: RowsMut<'a, E, P>,
    pub numbers: PhantomData<A>,
}

impl<E: Real, A: Numbers<P>, const P: usize> Walk<E> for Forward<'_, E, A, P> {
    fn extents(&self) -> Extents {
        self.extents
    }

    #[inline(always)]
    fn walk<S: Simd>(self, simd: S, sequence: usize, channels: Range<usize>) {
        let time = self.extents.time;
        let mut state = Row::<E, P>::new(simd, channels.len());
        state.copy(self.start.row(sequence, &channels));
        for token in sequence * time..(sequence + 1) * time {
            if self.resets.is_some_and(|resets| resets[token] != E::default()) {
                state.clear();
            }
            let (a, x) = (self.factor.row(token, &channels), self.input.row(token, &channels));
            for index in 0..channels.len().div_ceil(lanes::<S, E>()) {
                let (a, x) = (vector(simd, a, index), vector(simd, x, index));
                let after = A::step::<S, E>(simd, a, state.get(simd, index), x);
                state.set(simd, index, after);
            }
            // SAFETY: every channel of every sequence is one task's.
            unsafe { self.states.write(token, &channels, &state) };
        }
        // SAFETY: as above.
        unsafe { self.last.write(sequence, &channels, &state) };
    }
}
