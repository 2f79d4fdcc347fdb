//! Work spread over the processor's cores.

use super::sequence::Extents;
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Multiply-adds below which a call stays on one thread: fewer take less time than waking another.
const SMALL: usize = 1 << 20;

/// How a call is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// Every sequence and head is one task that passes once over its chunks.
    Heads,
    /// There are fewer of them than cores. A first pass carries the memory from chunk to chunk, parallel
    /// over the columns of the values, and a second computes the chunks, parallel over these. Every number
    /// comes out of the same arithmetic in the same order, so results never depend on the division.
    Chunks,
}

impl Division {
    pub fn of(extents: &Extents, chunks: usize) -> Self {
        let heads = extents.batch * extents.heads;
        let few = heads < rayon::current_num_threads() && chunks > 2;
        if few && cost(extents) >= SMALL { Self::Chunks } else { Self::Heads }
    }
}

/// Multiply-adds of writing and reading the memory.
fn cost(extents: &Extents) -> usize {
    2 * extents.batch * extents.time * extents.heads * extents.memory()
}

/// Runs `work` on ranges that cover `0..count`: on all cores if that is worth it. Buffers are made once per
/// range.
pub(crate) fn spread(extents: &Extents, count: usize, work: impl Fn(Range<usize>) + Send + Sync) {
    let threads = rayon::current_num_threads();
    if count == 1 || threads == 1 || cost(extents) < SMALL {
        return work(0..count);
    }
    let pieces = count.min(4 * threads);
    (0..pieces).into_par_iter().for_each(|piece| {
        work(piece * count / pieces..(piece + 1) * count / pieces);
    });
}

/// The columns of a memory, in strips of up to four vectors.
pub(crate) fn strips<S: Simd, E: Real>(width: usize, threads: usize) -> Vec<Range<usize>> {
    let lanes = lanes::<S, E>();
    let wanted = (width / lanes).div_ceil(threads.max(1)).clamp(1, 4) * lanes;
    (0..width).step_by(wanted).map(|start| start..width.min(start + wanted)).collect()
}
