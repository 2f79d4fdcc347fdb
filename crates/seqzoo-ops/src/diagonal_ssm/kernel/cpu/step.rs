//! One token without a tape: the numbers of a channel's state lie together as they are, so they share a vector.

use super::call::Sequence;
use super::forward::moved;
use super::parts::Parts;
use crate::kernel::cpu::channels::rows::lanes_of;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};

/// Channels of a task.
const CHANNELS: usize = 64;

/// The whole step.
pub(super) struct Step<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub output: Output<'a, E>,
    pub last: Parts<Output<'a, E>>,
}

impl<E: Real> WithSimd for Step<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let extents = self.sequence.extents;
        let tasks = extents.channels.div_ceil(CHANNELS);
        each(
            extents.batch * tasks,
            extents.steps(),
            || (),
            |(), index| {
                let (row, first) = (index / tasks, index % tasks * CHANNELS);
                vectorized(simd, Run { step: &self, row, first });
            },
        );
    }
}

struct Run<'a, 'b, E> {
    step: &'a Step<'b, E>,
    row: usize,
    first: usize,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { step: Step { sequence, output, last }, row, first } = self;
        let extents = sequence.extents;
        let zero = E::splat(simd, E::default());
        let clears = sequence.clears(row, 0);
        for channel in first..extents.channels.min(first + CHANNELS) {
            let token = extents.token(row, 0) + channel;
            let input = E::splat(simd, sequence.input[token]);
            let start = (row * extents.channels + channel) * extents.size;
            let mut sum = zero;
            for from in (0..extents.size).step_by(lanes::<S, E>()) {
                let length = lanes::<S, E>().min(extents.size - from);
                let load = |numbers: &[E], at: usize| E::load(simd, &numbers[at + from..][..length]);
                let parts = |numbers: Parts<&[E]>, at: usize| Parts {
                    re: load(numbers.re, at),
                    im: load(numbers.im, at),
                };
                let eigenvalue = parts(sequence.eigenvalues, channel * extents.size);
                let weight = parts(sequence.weights, channel * extents.size);
                let before = if clears { Parts { re: zero, im: zero } } else { parts(sequence.start, start) };
                let negative_im = E::minus(simd, zero, eigenvalue.im);
                let state = moved::<S, E>(simd, eigenvalue, negative_im, before, input);
                // What is read of lanes beyond the state has a weight of 0.
                sum = E::mul_add(simd, weight.re, state.re, sum);
                sum = E::minus(simd, sum, E::times(simd, weight.im, state.im));
                let (re, im) = ([state.re], [state.im]);
                // SAFETY: this state is this task's alone.
                unsafe {
                    last.re.write(start + from, &lanes_of::<S, E>(&re)[..length]);
                    last.im.write(start + from, &lanes_of::<S, E>(&im)[..length]);
                }
            }
            // SAFETY: this channel of this token is this task's alone.
            unsafe { output.write(token, &[E::sum(simd, sum)]) };
        }
    }
}
