//! Work spread over the processor's cores.

use super::extents::Extents;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::relay::{Relay, relay};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Multiply-adds below which a call stays on one thread: fewer take less time than waking another.
const SMALL: usize = 1 << 20;

/// How a call is divided. Every number comes out of the same arithmetic in the same order, so results never depend on
/// the division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// Every sequence and head passes once over its chunks, one head on one core at a time: see [`relay`].
    Heads,
    /// There are fewer of them than cores. A first pass carries the memory from chunk to chunk, parallel
    /// over the columns of the values, and a second computes the chunks, parallel over these.
    Chunks,
}

impl Division {
    /// For sequences of up to `chunks` chunks.
    pub fn of(extents: &Extents, chunks: usize) -> Self {
        let few = extents.all_heads() < rayon::current_num_threads() && chunks > 2;
        if few && cost(extents) >= SMALL { Self::Chunks } else { Self::Heads }
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

/// A pass that can be divided in both ways.
pub(crate) trait Divisible<E: Real>: Relay<E> {
    fn extents(&self) -> &Extents;

    /// The padded width of a memory's rows.
    fn columns<S: Simd>(&self, simd: S) -> usize;

    /// The memories alone, for a range of tasks: task `i + j · ranges` is range `i` of the columns of head `j`.
    fn memories<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        ranges: &[Range<usize>],
        tasks: Range<usize>,
    );

    /// The chunks that [`chunk`](Self::chunk) computes; it may have several heads for each.
    fn chunks(&self) -> Vec<(usize, usize)>;

    /// Everything else, for some of the chunks.
    fn each_chunk<S: Simd>(&self, simd: S, buffers: &mut Self::Buffers, chunks: &[(usize, usize)]);
}

/// Runs `pass` on all cores, divided as `division` says.
#[inline(always)]
pub(crate) fn run<S: Simd, E: Real>(simd: S, pass: &impl Divisible<E>, division: Division) {
    let cores = cores(pass.extents());
    match division {
        Division::Heads => relay(simd, pass, cores),
        Division::Chunks => {
            let ranges = column_ranges::<S, E>(pass.columns(simd), rayon::current_num_threads());
            spread(cores, pass.heads() * ranges.len(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || pass.memories(simd, &mut pass.buffers(simd), &ranges, tasks),
                )
            });
            let chunks = pass.chunks();
            spread(cores, chunks.len(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || pass.each_chunk(simd, &mut pass.buffers(simd), &chunks[tasks]),
                )
            });
        }
    }
}

/// Runs `work` on ranges that cover `0..count`.
fn spread(cores: usize, count: usize, work: impl Fn(Range<usize>) + Send + Sync) {
    if count == 1 || cores == 1 {
        return work(0..count);
    }
    let pieces = count.min(4 * cores);
    (0..pieces).into_par_iter().for_each(|piece| {
        work(piece * count / pieces..(piece + 1) * count / pieces);
    });
}

/// The columns of a memory, in ranges of up to four vectors.
fn column_ranges<S: Simd, E: Real>(width: usize, threads: usize) -> Vec<Range<usize>> {
    let lanes = lanes::<S, E>();
    let wanted = (width / lanes).div_ceil(threads.max(1)).clamp(1, 4) * lanes;
    (0..width).step_by(wanted).map(|start| start..width.min(start + wanted)).collect()
}
