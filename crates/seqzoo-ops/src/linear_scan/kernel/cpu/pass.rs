//! A pass over all sequences and channels, and how it is divided between cores.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::vectorized::vectorized;
use crate::segments::Span;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Bytes of a row in a block. What a core reads and writes of a token costs as much as the pages that it lies in, so cores
/// that share pages gain nothing; and with what a pass works on, so much stays in a core's caches.
const PAGE: usize = 4096;

/// Numbers below which a call stays on one thread: fewer take less time than waking another.
const SMALL: usize = 1 << 15;

#[derive(Clone, Copy, Debug)]
pub(super) struct Extents<'a> {
    /// The sequences.
    pub spans: &'a [Span],
    /// Of all sequences together.
    pub tokens: usize,
    pub channels: usize,
}

/// What is done with the channels of a sequence, apart from all others.
pub(super) trait Walk<E: Real>: Copy + Sync {
    fn extents(&self) -> Extents<'_>;

    fn walk<S: Simd>(self, simd: S, sequence: Span, channels: Range<usize>);
}

/// A pass on all cores.
pub(super) struct Pass<E, W> {
    walk: W,
    element: PhantomData<E>,
}

impl<E, W> Pass<E, W> {
    pub fn new(walk: W) -> Self {
        Self { walk, element: PhantomData }
    }
}

impl<E: Real, W: Walk<E>> WithSimd for Pass<E, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let extents = self.walk.extents();
        let block = PAGE / size_of::<E>();
        let blocks = extents.channels.div_ceil(block);
        let task = |index: usize| {
            let start = index % blocks * block;
            let channels = start..extents.channels.min(start + block);
            let (walk, sequence) = (self.walk, extents.spans[index / blocks]);
            vectorized(simd, Task { walk, sequence, channels, element: PhantomData::<E> });
        };
        let tasks = extents.spans.len() * blocks;
        match extents.tokens * extents.channels {
            0..SMALL => (0..tasks).for_each(task),
            _ => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
        }
    }
}

struct Task<W, E> {
    walk: W,
    sequence: Span,
    channels: Range<usize>,
    element: PhantomData<E>,
}

impl<E: Real, W: Walk<E>> WithSimd for Task<W, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.walk.walk(simd, self.sequence, self.channels);
    }
}
