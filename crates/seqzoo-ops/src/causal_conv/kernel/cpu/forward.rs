//! The forward pass: a block of channels along the sequence.

use super::window::Sequence;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks};
use crate::kernel::cpu::channels::rows::{pack, store};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};

/// The whole pass.
pub(super) struct Forward<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub output: Output<'a, E>,
    pub last: Output<'a, E>,
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let extents = self.sequence.extents;
        let blocks = Blocks::of::<S, E>(extents.channels, 1).all;
        let work = extents.batch * extents.time * extents.channels * extents.width;
        let taps = || Buffer::new(extents.width * lanes::<S, E>());
        each(extents.batch * blocks.len(), work, taps, |taps, index| {
            let (row, block) = (index / blocks.len(), blocks[index % blocks.len()]);
            vectorized(simd, Run { pass: &self, row, block, taps });
        });
    }
}

struct Run<'a, 'b, E> {
    pass: &'a Forward<'b, E>,
    row: usize,
    block: Block,
    taps: &'a mut Buffer<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass: Forward { sequence, output, last }, row, block, taps } = self;
        let extents = sequence.extents;
        pack(simd, sequence.weight, 0, block, extents.width, taps);
        let taps = E::vectors::<S>(taps);
        let mut before = 0;
        for token in 0..extents.time {
            let first = sequence.first(row, token, &mut before);
            let mut y = sequence.sum(simd, row, token, first, block, taps);
            if sequence.silu {
                y = E::times(simd, y, sigmoid::<S, E>(simd, y));
            }
            // SAFETY: these channels of this token are this task's alone.
            unsafe { store::<S, E>(output, (row * extents.time + token) * extents.channels, block, y) };
        }
        for kept in 0..extents.width - 1 {
            let position = extents.time + kept;
            let x = if position < before {
                E::splat(simd, E::default())
            } else {
                sequence.at(simd, row, position, block)
            };
            let place = (row * (extents.width - 1) + kept) * extents.channels;
            // SAFETY: as above, of this input that is kept.
            unsafe { store::<S, E>(last, place, block, x) };
        }
    }
}
