//! The forward pass: a block of channels along the sequence.

use super::window::Sequences;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks};
use crate::kernel::cpu::channels::rows::{pack, store};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use crate::segments::Span;
use pulp::{Simd, WithSimd};

/// The whole pass.
pub(super) struct Forward<'a, E> {
    pub sequences: Sequences<'a, E>,
    pub output: Output<'a, E>,
    pub last: Output<'a, E>,
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Sequences { extents, spans, .. } = self.sequences;
        let blocks = Blocks::of::<S, E>(extents.channels, 1).all;
        let work = extents.tokens * extents.channels * extents.width;
        let taps = || Buffer::new(extents.width * lanes::<S, E>());
        each(spans.len() * blocks.len(), work, taps, |taps, index| {
            let (span, block) = (spans[index / blocks.len()], blocks[index % blocks.len()]);
            vectorized(simd, Run { pass: &self, span, block, taps });
        });
    }
}

struct Run<'a, 'b, E> {
    pass: &'a Forward<'b, E>,
    span: Span,
    block: Block,
    taps: &'a mut Buffer<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass: Forward { sequences, output, last }, span, block, taps } = self;
        let extents = sequences.extents;
        pack(simd, sequences.weight, 0, block, extents.width, taps);
        let taps = E::vectors::<S>(taps);
        let mut before = 0;
        for token in 0..span.length {
            let first = sequences.first(span, token, &mut before);
            let mut y = sequences.sum(simd, span, token, first, block, taps);
            if sequences.silu {
                y = E::times(simd, y, sigmoid::<S, E>(simd, y));
            }
            // SAFETY: these channels of this token are this task's alone.
            unsafe { store::<S, E>(output, (span.first + token) * extents.channels, block, y) };
        }
        for kept in 0..extents.width - 1 {
            let position = span.length + kept;
            let x = if position < before {
                E::splat(simd, E::default())
            } else {
                sequences.at(simd, span, position, block)
            };
            let place = (span.number * (extents.width - 1) + kept) * extents.channels;
            // SAFETY: as above, of this input that is kept.
            unsafe { store::<S, E>(last, place, block, x) };
        }
    }
}
