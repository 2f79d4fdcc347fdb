//! One token without a tape: the numbers of a channel's state lie together as they are, so they share a vector.

use super::call::Sequence;
use super::steps::step;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks};
use crate::kernel::cpu::channels::rows::load;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use crate::segments::Span;
use pulp::{Simd, WithSimd};

/// The whole step.
pub(super) struct Step<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub output: Output<'a, E>,
    pub last: Output<'a, E>,
}

impl<E: Real> WithSimd for Step<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Sequence { extents, spans, .. } = self.sequence;
        let blocks = Blocks::of::<S, E>(extents.channels, extents.groups);
        let tasks = blocks.tasks.len();
        let scratch = || Buffer::new(2 * lanes::<S, E>());
        each(spans.len() * tasks, extents.steps(), scratch, |scratch, index| {
            let (span, task) = (spans[index / tasks], &blocks.tasks[index % tasks]);
            for block in blocks.blocks_of(task) {
                vectorized(simd, Run { step: &self, span, group: task.group, block: *block, scratch });
            }
        });
    }
}

struct Run<'a, 'b, E> {
    step: &'a Step<'b, E>,
    span: Span,
    group: usize,
    block: Block,
    scratch: &'a mut Buffer<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { step: Step { sequence, output, last }, span, group, block, scratch } = self;
        let extents = sequence.extents;
        let (size, lanes) = (extents.size, lanes::<S, E>());
        let token = extents.token(span, 0);
        let steps = step(simd, sequence, token, block);
        let writes = E::times(simd, steps, load(simd, sequence.input, token, block));
        let vectors = E::vectors_mut::<S>(scratch);
        (vectors[0], vectors[1]) = (steps, writes);

        let zero = E::splat(simd, E::default());
        let clears = sequence.clears(span, 0);
        let at = extents.shared(span, 0, group);
        let (b, c) = (sequence.of_token(sequence.b, at, 0, size), sequence.of_token(sequence.c, at, 0, size));
        for lane in 0..block.channels {
            let channel = block.first + lane;
            let rates = &sequence.a[channel * size..][..size];
            let start = (span.number * extents.channels + channel) * size;
            let before = &sequence.start[start..][..size];
            let (dt, write) = (E::splat(simd, scratch[lane]), E::splat(simd, scratch[lanes + lane]));
            let mut sum = zero;
            for first in (0..size).step_by(lanes) {
                let some = first..size.min(first + lanes);
                let mut rate = E::load(simd, &rates[some.clone()]);
                if sequence.a_log {
                    rate = E::minus(simd, zero, E::exp(simd, rate));
                }
                let factor = E::exp(simd, E::times(simd, dt, rate));
                let mut state = E::times(simd, write, E::load(simd, &b[some.clone()]));
                if !clears {
                    state = E::mul_add(simd, factor, E::load(simd, &before[some.clone()]), state);
                }
                sum = E::mul_add(simd, state, E::load(simd, &c[some.clone()]), sum);
                let state = [state];
                let numbers = crate::kernel::cpu::channels::rows::lanes_of::<S, E>(&state);
                // SAFETY: this state is this block's alone.
                unsafe { last.write(start + first, &numbers[..some.len()]) };
            }
            scratch[lane] = E::sum(simd, sum);
        }
        let mut y = E::vectors::<S>(scratch)[0];
        if let Some(d) = sequence.d {
            y = E::mul_add(simd, load(simd, d, 0, block), load(simd, sequence.input, token, block), y);
        }
        if let Some(z) = sequence.z {
            let z = load(simd, z, token, block);
            y = E::times(simd, y, E::times(simd, z, sigmoid::<S, E>(simd, z)));
        }
        // SAFETY: these channels of this token are this block's alone.
        unsafe { crate::kernel::cpu::channels::rows::store::<S, E>(output, token, block, y) };
    }
}
