//! Work spread over the processor's cores.

use super::forward::widths;
use super::relay::relay;
use super::sequence::{Cut, Extents, Sequence};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Multiply-adds below which a call stays on one thread: fewer take less time than waking another.
const SMALL: usize = 1 << 20;

/// How a call is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// Every sequence and head passes once over its chunks, one head on one core at a time: see [`relay`].
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

/// Cores that a call is worth.
pub(super) fn cores(extents: &Extents) -> usize {
    if cost(extents) < SMALL { 1 } else { rayon::current_num_threads() }
}

/// A forward or backward pass over a batch.
pub(crate) trait Pass<E: Real>: Sync {
    /// What a core works in; made once for many tasks.
    type Buffers;

    /// What the pass reads.
    fn sequence(&self) -> &Sequence<'_, E>;

    /// How that is cut.
    fn cut(&self) -> &Cut;

    fn buffers<S: Simd>(&self, simd: S) -> Self::Buffers;

    /// Where the pass begins, `[b, h, k, v]`: the initial memories, or the gradients of the final ones.
    fn start(&self) -> &[E];

    /// Where it ends: the final memories, or the gradients of the initial ones.
    fn end(&self) -> Output<'_, E>;

    /// Some steps of the pass over a head, in order: each is a chunk, the first of them the last chunk of a pass that
    /// goes backwards. `memory`, or its gradient, goes from one to the next.
    fn steps<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        head: usize,
        steps: Range<usize>,
        memory: &mut [E],
    );

    /// What must be made in order, for a range of strips of columns of all heads: strip `i` of head `j` is task
    /// `i + j · strips`.
    fn in_order<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        strips: &[Range<usize>],
        tasks: Range<usize>,
    );

    /// All the rest, for some chunks, given as [`Cut::all`] does.
    fn each_chunk<S: Simd>(&self, simd: S, buffers: &mut Self::Buffers, chunks: &[(usize, usize)]);
}

/// Runs `pass` on all cores, divided as `division` says.
#[inline(always)]
pub(crate) fn run<S: Simd, E: Real>(simd: S, pass: &impl Pass<E>, division: Division) {
    let (sequence, extents) = (pass.sequence(), &pass.sequence().extents);
    match division {
        Division::Heads => relay(simd, pass),
        Division::Chunks => {
            let strips = strips::<S, E>(widths::<S, E>(sequence).1, rayon::current_num_threads());
            spread(extents, extents.all_heads() * strips.len(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || pass.in_order(simd, &mut pass.buffers(simd), &strips, tasks),
                )
            });
            let chunks = pass.cut().all(extents.heads);
            spread(extents, chunks.len(), |tasks| {
                simd.vectorize(
                    #[inline(always)]
                    || pass.each_chunk(simd, &mut pass.buffers(simd), &chunks[tasks]),
                )
            });
        }
    }
}

/// Runs `work` on ranges that cover `0..count`: on all cores if that is worth it.
fn spread(extents: &Extents, count: usize, work: impl Fn(Range<usize>) + Send + Sync) {
    let cores = cores(extents);
    if count == 1 || cores == 1 {
        return work(0..count);
    }
    let pieces = count.min(4 * cores);
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
