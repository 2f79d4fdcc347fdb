//! Work spread over the processor's cores.

use super::chunks::Cut;
use super::extents::Extents;
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Multiply-adds below which a call stays on one thread: fewer take less time than waking another.
const SMALL: usize = 1 << 20;

/// How a call is divided. Every number comes out of the same arithmetic in the same order, so results never depend on
/// the division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// Every head of every sequence is walked once, by one core at a time: see [`relay`](crate::kernel::cpu::relay::relay).
    Heads,
    /// There are fewer of them than cores, or one is longer than a core's share of all. A first pass carries the memory from chunk to chunk, parallel
    /// over the columns of the values, and a second computes the chunks, parallel over these.
    Chunks,
}

impl Division {
    /// For sequences that are cut into chunks.
    pub fn of(extents: &Extents, cut: &Cut) -> Self {
        // The tokens of a head of the longest sequence, and a core's share of those of all heads.
        let share = extents.batch * extents.time * extents.heads / rayon::current_num_threads();
        let uneven = cut.longest() > share && cut.max_chunks() > 2;
        if uneven && cost(extents) >= SMALL { Self::Chunks } else { Self::Heads }
    }
}

/// Multiply-adds of writing and reading the memory.
fn cost(extents: &Extents) -> usize {
    2 * extents.batch * extents.time * extents.heads * extents.memory()
}

/// Cores that a call is worth.
pub(crate) fn cores(extents: &Extents) -> usize {
    if cost(extents) < SMALL { 1 } else { rayon::current_num_threads() }
}

/// Runs `work` on ranges that cover `0..count`.
pub(crate) fn spread(cores: usize, count: usize, work: impl Fn(Range<usize>) + Send + Sync) {
    if count == 1 || cores == 1 {
        return work(0..count);
    }
    let pieces = count.min(4 * cores);
    (0..pieces).into_par_iter().for_each(|piece| {
        work(piece * count / pieces..(piece + 1) * count / pieces);
    });
}

/// The columns of a memory, in ranges of up to four vectors.
pub(crate) fn column_ranges<S: Simd, E: Real>(width: usize, threads: usize) -> Vec<Range<usize>> {
    let lanes = lanes::<S, E>();
    let wanted = (width / lanes).div_ceil(threads.max(1)).clamp(1, 4) * lanes;
    (0..width).step_by(wanted).map(|start| start..width.min(start + wanted)).collect()
}
