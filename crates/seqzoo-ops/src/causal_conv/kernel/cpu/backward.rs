//! The backward pass: token by token, what a token owes to all it has seen.

use super::window::{Extents, Sequences};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks};
use crate::kernel::cpu::channels::rows::{load, pack, store, unpack};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use crate::segments::Span;
use pulp::{Simd, WithSimd};

/// The whole pass.
pub(super) struct Backward<'a, E> {
    pub sequences: Sequences<'a, E>,
    /// The gradients of the outputs and of the inputs that are kept.
    pub upstream: &'a [E],
    pub upstream_last: &'a [E],
    pub d_input: Output<'a, E>,
    pub d_start: Output<'a, E>,
    /// Of every sequence its own: `[b, d, w]`, `[b, d]`, or of every segment.
    pub d_weight: Output<'a, E>,
    pub d_bias: Option<Output<'a, E>>,
}

impl<E: Real> WithSimd for Backward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Sequences { extents, spans, .. } = self.sequences;
        let blocks = Blocks::of::<S, E>(extents.channels, 1).all;
        let work = extents.tokens * extents.channels * extents.width;
        let scratch = || {
            let room = || Buffer::new(extents.width * lanes::<S, E>());
            Scratch { taps: room(), d_taps: room(), pending: room() }
        };
        each(spans.len() * blocks.len(), work, scratch, |scratch, index| {
            let (span, block) = (spans[index / blocks.len()], blocks[index % blocks.len()]);
            vectorized(simd, Run { pass: &self, span, block, scratch });
        });
    }
}

/// What a task works in, each one vector per tap.
struct Scratch<E> {
    taps: Buffer<E>,
    d_taps: Buffer<E>,
    /// The gradients of the inputs that the token at hand sees, as far as they are known.
    pending: Buffer<E>,
}

struct Run<'a, 'b, E> {
    pass: &'a Backward<'b, E>,
    span: Span,
    block: Block,
    scratch: &'a mut Scratch<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, span, block, scratch: Scratch { taps, d_taps, pending } } = self;
        let sequences = &pass.sequences;
        let Extents { channels, width, .. } = sequences.extents;
        pack(simd, sequences.weight, 0, block, width, taps);
        d_taps.fill(E::default());
        pending.fill(E::default());
        let taps = E::vectors::<S>(taps);
        let pending = E::vectors_mut::<S>(pending);
        let zero = E::splat(simd, E::default());
        let mut d_bias = zero;
        let mut before = 0;
        for token in 0..span.length {
            let first = sequences.first(span, token, &mut before);
            let mut gradient = load(simd, pass.upstream, (span.first + token) * channels, block);
            if sequences.silu {
                // silu' = σ (1 + y (1 − σ))
                let y = sequences.sum(simd, span, token, first, block, taps);
                let (one, gate) = (E::splat(simd, E::ONE), sigmoid::<S, E>(simd, y));
                let slope = E::mul_add(simd, y, E::minus(simd, one, gate), one);
                gradient = E::times(simd, gradient, E::times(simd, gate, slope));
            }
            d_bias = E::plus(simd, d_bias, gradient);
            let d_taps = E::vectors_mut::<S>(d_taps);
            for position in first..token + width {
                let tap = position - token;
                let x = sequences.at(simd, span, position, block);
                d_taps[tap] = E::mul_add(simd, gradient, x, d_taps[tap]);
                pending[tap] = E::mul_add(simd, gradient, taps[tap], pending[tap]);
            }
            // No later token sees the first of them.
            // SAFETY: these channels of this position are this task's alone.
            unsafe { pass.put::<S>(span, token, block, pending[0]) };
            pending.rotate_left(1);
            pending[width - 1] = zero;
        }
        for (kept, mut gradient) in pending.iter().copied().enumerate().take(width - 1) {
            let position = span.length + kept;
            if position >= before {
                let place = (span.number * (width - 1) + kept) * channels;
                gradient = E::plus(simd, gradient, load(simd, pass.upstream_last, place, block));
            }
            // SAFETY: as above.
            unsafe { pass.put::<S>(span, position, block, gradient) };
        }
        // SAFETY: the gradients of these channels, of this sequence, are this task's alone.
        unsafe {
            unpack(simd, d_taps, &pass.d_weight, span.number * channels * width, block, width);
            if let Some(output) = &pass.d_bias {
                store::<S, E>(output, span.number * channels, block, d_bias);
            }
        }
    }
}

impl<E: Real> Backward<'_, E> {
    /// Writes the gradient of the input at `position`, of which the first `width - 1` are the state.
    ///
    /// # Safety
    ///
    /// No other thread may write or read it meanwhile.
    #[inline(always)]
    unsafe fn put<S: Simd>(&self, span: Span, position: usize, block: Block, gradient: E::Vector<S>) {
        let Extents { channels, width, .. } = self.sequences.extents;
        // SAFETY: as the caller promises.
        unsafe {
            match position.checked_sub(width - 1) {
                Some(token) => {
                    store::<S, E>(&self.d_input, (span.first + token) * channels, block, gradient);
                }
                None => {
                    let place = (span.number * (width - 1) + position) * channels;
                    store::<S, E>(&self.d_start, place, block, gradient);
                }
            }
        }
    }
}
