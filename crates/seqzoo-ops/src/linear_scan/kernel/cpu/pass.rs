//! A pass over all sequences and channels, and how it is divided between cores.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

const CACHE_LINE: usize = 64;

/// Numbers below which a call stays on one thread: fewer take less time than waking another.
const SMALL: usize = 1 << 15;

/// Channels in a block, at most: with what a pass works on they stay in a core's first cache.
const MAX_BLOCK: usize = 512;

#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub batch: usize,
    pub time: usize,
    pub channels: usize,
}

/// What is done with the channels of a sequence, apart from all others.
pub(super) trait Walk<E: Real>: Copy + Sync {
    fn extents(&self) -> Extents;

    fn walk<S: Simd>(self, simd: S, sequence: usize, channels: Range<usize>);
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
        let block = block::<E>(&extents, rayon::current_num_threads());
        let blocks = extents.channels.div_ceil(block);
        let task = |index: usize| {
            let start = index % blocks * block;
            let channels = start..extents.channels.min(start + block);
            let (walk, sequence) = (self.walk, index / blocks);
            vectorized(simd, Task { walk, sequence, channels, element: PhantomData::<E> });
        };
        let tasks = extents.batch * blocks;
        match extents.batch * extents.time * extents.channels {
            0..SMALL => (0..tasks).for_each(task),
            _ => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
        }
    }
}

struct Task<W, E> {
    walk: W,
    sequence: usize,
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

/// Channels in a block: whole cache lines, and as few as give all cores the same number of tasks.
fn block<E>(extents: &Extents, cores: usize) -> usize {
    let blocks = cores / common_divisor(cores, extents.batch);
    let line = CACHE_LINE / size_of::<E>();
    extents.channels.div_ceil(blocks).next_multiple_of(line).min(MAX_BLOCK)
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::{Extents, block};

    fn channels(batch: usize, channels: usize, cores: usize) -> usize {
        block::<f32>(&Extents { batch, time: 1, channels }, cores)
    }

    #[test]
    fn every_core_has_as_many_blocks_as_any_other() {
        assert_eq!(channels(1, 256, 2), 128);
        assert_eq!(channels(2, 256, 2), 256);
        assert_eq!(channels(3, 256, 2), 128);
        assert_eq!(channels(6, 256, 4), 128);
    }

    #[test]
    fn blocks_are_whole_cache_lines_and_fit_into_the_cache() {
        assert_eq!(channels(1, 256, 64), 16);
        assert_eq!(channels(1, 3, 1), 16);
        assert_eq!(channels(1, 100_000, 2), 512);
    }
}
