//! What a token sees: itself and the inputs before it, in the state or in the sequence.

use crate::kernel::cpu::channels::blocks::Block;
use crate::kernel::cpu::channels::rows::load;
use crate::kernel::cpu::lanes::Real;
use crate::segments::Span;
use pulp::Simd;

/// The sizes of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    /// Of all sequences together.
    pub tokens: usize,
    pub channels: usize,
    pub width: usize,
}

/// What both passes read.
#[derive(Clone, Copy)]
pub(super) struct Sequences<'a, E> {
    pub spans: &'a [Span],
    pub extents: Extents,
    pub input: &'a [E],
    pub weight: &'a [E],
    pub start: &'a [E],
    pub bias: Option<&'a [E]>,
    pub resets: Option<&'a [E]>,
    pub silu: bool,
}

impl<E: Real> Sequences<'_, E> {
    /// The input of a sequence at `position`, of which the first `width - 1` are the state and the others the tokens.
    #[inline(always)]
    pub fn at<S: Simd>(&self, simd: S, span: Span, position: usize, block: Block) -> E::Vector<S> {
        let Extents { channels, width, .. } = self.extents;
        match position.checked_sub(width - 1) {
            Some(token) => load(simd, self.input, (span.first + token) * channels, block),
            None => load(simd, self.start, (span.number * (width - 1) + position) * channels, block),
        }
    }

    /// The first position that a token sees: `before` is that of the last reset, to be kept from token to token.
    #[inline(always)]
    pub fn first(&self, span: Span, token: usize, before: &mut usize) -> usize {
        let Extents { width, .. } = self.extents;
        if self.resets.is_some_and(|resets| resets[span.first + token] != E::default()) {
            *before = token + width - 1;
        }
        (*before).max(token)
    }

    /// The outputs of a token before `silu`; `taps` has the weights of the block, one vector per tap.
    #[inline(always)]
    pub fn sum<S: Simd>(
        &self,
        simd: S,
        span: Span,
        token: usize,
        first: usize,
        block: Block,
        taps: &[E::Vector<S>],
    ) -> E::Vector<S> {
        let mut sum = match self.bias {
            Some(bias) => load(simd, bias, 0, block),
            None => E::splat(simd, E::default()),
        };
        for position in first..token + taps.len() {
            sum = E::mul_add(simd, taps[position - token], self.at(simd, span, position, block), sum);
        }
        sum
    }
}
