//! Work spread over the processor's cores.

use super::forward::widths;
use super::sequence::{Cut, Extents, Sequence};
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

/// A forward or backward pass over a batch.
pub(crate) trait Pass<E: Real>: Sync {
    /// What the pass reads.
    fn sequence(&self) -> &Sequence<'_, E>;

    /// How that is cut.
    fn cut(&self) -> &Cut;

    /// One pass over all chunks of a range of heads.
    fn whole_heads<S: Simd>(&self, simd: S, heads: Range<usize>);

    /// What must be made in order, for a range of strips of columns of all heads: strip `i` of head `j` is task
    /// `i + j · strips`.
    fn in_order<S: Simd>(&self, simd: S, strips: &[Range<usize>], tasks: Range<usize>);

    /// All the rest, for some chunks, given as [`Cut::all`] does.
    fn each_chunk<S: Simd>(&self, simd: S, chunks: &[(usize, usize)]);
}

/// Runs `pass` on all cores, divided as `division` says.
#[inline(always)]
pub(crate) fn run<S: Simd, E: Real>(simd: S, pass: &impl Pass<E>, division: Division) {
    let (sequence, extents) = (pass.sequence(), &pass.sequence().extents);
    match division {
        Division::Heads => spread(extents, extents.all_heads(), |heads| {
            simd.vectorize(
                #[inline(always)]
                || pass.whole_heads(simd, heads),
            )
        }),
        Division::Chunks => {
            let strips = strips::<S, E>(widths::<S, E>(sequence).1, rayon::current_num_threads());
            spread(extents, extents.all_heads() * strips.len(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || pass.in_order(simd, &strips, tasks),
                )
            });
            let chunks = pass.cut().all(extents.heads);
            spread(extents, chunks.len(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || pass.each_chunk(simd, &chunks[tasks]),
                )
            });
        }
    }
}

/// Runs `work` on ranges that cover `0..count`: on all cores if that is worth it. Buffers are made once per
/// range.
fn spread(extents: &Extents, count: usize, work: impl Fn(Range<usize>) + Send + Sync) {
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
fn strips<S: Simd, E: Real>(width: usize, threads: usize) -> Vec<Range<usize>> {
    let lanes = lanes::<S, E>();
    let wanted = (width / lanes).div_ceil(threads.max(1)).clamp(1, 4) * lanes;
    (0..width).step_by(wanted).map(|start| start..width.min(start + wanted)).collect()
}
