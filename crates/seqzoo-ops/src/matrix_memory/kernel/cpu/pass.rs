//! A pass over a batch, forward or backward: which core walks over which chunks.

use super::chunks::Cut;
use super::division::{Division, column_ranges, cores, spread};
use super::extents::{Extents, Widths};
use super::states;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::relay::{Relay, relay};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// What goes from chunk to chunk: memories on the way forward, their gradients on the way back.
#[derive(Clone, Copy)]
pub(crate) struct Carry<'a, E> {
    pub extents: Extents,
    pub cut: &'a Cut,
    /// Before the first step and after the last, `[b, h, k, v]`, or `[n, h, k, v]` of n segments.
    pub start: &'a [E],
    pub end: Output<'a, E>,
}

impl<E: Real> Carry<'_, E> {
    /// The padded width of a memory's rows.
    fn width<S: Simd>(&self) -> usize {
        Widths::of::<S, E>(&self.extents).value
    }

    /// The columns of rows that fill `memory`.
    fn columns(&self, memory: &[E]) -> Range<usize> {
        0..memory.len() / self.extents.key
    }
}

/// The steps of a pass over one head: each is a chunk, the first of them the last chunk of a pass that goes backwards.
pub(crate) trait Walk<E: Real>: Sync {
    type Buffers;

    fn buffers<S: Simd>(&self, simd: S, carry: &Carry<'_, E>) -> Self::Buffers;

    /// Everything in a step. `memory` is carried, in rows of the padded width.
    fn step<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        carry: &Carry<'_, E>,
        at: (usize, usize),
        memory: &mut [E],
    );

    /// `columns` of what is carried alone, in rows of their width, and what it depends on.
    fn memory<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        carry: &Carry<'_, E>,
        at: (usize, usize),
        columns: &Range<usize>,
        memory: &mut [E],
    );

    /// `columns` of what is carried, after the last step.
    #[inline(always)]
    fn last<S: Simd>(
        &self,
        _simd: S,
        _carry: &Carry<'_, E>,
        _head: usize,
        _columns: &Range<usize>,
        _memory: &[E],
    ) {
    }

    /// Everything else in a step, when [`memory`](Self::memory) has been called for all steps of all heads. `room` is for
    /// a memory.
    fn rest<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        carry: &Carry<'_, E>,
        at: (usize, usize),
        room: &mut [E],
    );
}

/// A pass, and how its work is divided.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a, E, W> {
    pub walk: W,
    pub carry: Carry<'a, E>,
    /// Neighbouring heads that share outputs.
    pub group: usize,
    pub division: Division,
}

impl<E: Real, W: Walk<E>> Relay<E> for Pass<'_, E, W> {
    type Buffers = W::Buffers;

    fn buffers<S: Simd>(&self, simd: S) -> W::Buffers {
        self.walk.buffers(simd, &self.carry)
    }

    fn heads(&self) -> usize {
        self.carry.cut.all_heads()
    }

    fn steps(&self, head: usize) -> usize {
        self.carry.cut.chunks(head)
    }

    fn group(&self) -> usize {
        self.group
    }

    fn carry<S: Simd>(&self, _: S) -> usize {
        self.carry.extents.key * self.carry.width::<S>()
    }

    fn begin(&self, head: usize, memory: &mut [E]) {
        states::load(self.carry.start, &self.carry.extents, head, &self.carry.columns(memory), memory);
    }

    #[inline(always)]
    fn advance<S: Simd>(
        &self,
        simd: S,
        buffers: &mut W::Buffers,
        head: usize,
        steps: Range<usize>,
        memory: &mut [E],
    ) {
        for step in steps.clone() {
            self.walk.step(simd, buffers, &self.carry, (head, step), memory);
        }
        if steps.end == self.steps(head) {
            self.walk.last(simd, &self.carry, head, &(0..self.carry.width::<S>()), memory);
        }
    }

    fn end(&self, head: usize, memory: &[E]) {
        let Carry { extents, end, .. } = &self.carry;
        // SAFETY: every head is one core's at a time.
        unsafe { states::store(*end, extents, head, &self.carry.columns(memory), memory) };
    }
}

impl<E: Real, W: Walk<E>> Pass<'_, E, W> {
    /// What is carried alone, for a range of tasks: task `i + j · ranges` is range `i` of the columns of head `j`.
    #[inline(always)]
    fn memories<S: Simd>(&self, simd: S, ranges: &[Range<usize>], tasks: Range<usize>) {
        let Carry { extents, start, end, .. } = &self.carry;
        let (mut buffers, mut room) = (self.buffers(simd), Buffer::<E>::new(self.carry(simd)));
        for task in tasks {
            let (head, columns) = (task / ranges.len(), &ranges[task % ranges.len()]);
            let memory = &mut room[..extents.key * columns.len()];
            memory.fill(E::default());
            states::load(start, extents, head, columns, memory);
            for step in 0..self.steps(head) {
                self.walk.memory(simd, &mut buffers, &self.carry, (head, step), columns, memory);
            }
            self.walk.last(simd, &self.carry, head, columns, memory);
            // SAFETY: every range of columns of every head is one task's.
            unsafe { states::store(*end, extents, head, columns, memory) };
        }
    }

    /// Everything else, for some steps of groups of heads.
    #[inline(always)]
    fn rest<S: Simd>(&self, simd: S, steps: &[(usize, usize)]) {
        let (mut buffers, mut room) = (self.buffers(simd), Buffer::<E>::new(self.carry(simd)));
        for (first, step) in steps {
            for head in *first..first + self.group {
                self.walk.rest(simd, &mut buffers, &self.carry, (head, *step), &mut room);
            }
        }
    }
}

impl<E: Real, W: Walk<E>> WithSimd for Pass<'_, E, W> {
    type Output = ();

    /// Runs the pass on all cores.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let cores = cores(&self.carry.extents);
        if self.division == Division::Heads {
            return relay(simd, &self, cores);
        }
        let ranges = column_ranges::<S, E>(self.carry.width::<S>(), rayon::current_num_threads());
        spread(cores, self.heads() * ranges.len(), |tasks| {
            simd.vectorize(
                #[inline(always)]
                || self.memories(simd, &ranges, tasks),
            )
        });
        let steps = self.carry.cut.all_chunks(self.group);
        spread(cores, steps.len(), |tasks| {
            simd.vectorize(
                #[inline(always)]
                || self.rest(simd, &steps[tasks]),
            )
        });
    }
}
