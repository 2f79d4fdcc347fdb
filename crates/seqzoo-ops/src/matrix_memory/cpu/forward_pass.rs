//! The forward pass over a batch: the order in which chunks are walked, whatever an operator does in them.

use super::chunks::{Cut, Place};
use super::division::{Divisible, Division, run};
use super::extents::{Extents, Widths};
use super::states;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::relay::Relay;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// An operator's work in one chunk.
pub(crate) trait ForwardChunk<E: Real>: Sync {
    type Buffers;

    fn buffers<S: Simd>(&self, simd: S) -> Self::Buffers;

    /// Lists what the chunk will write and the next one will read, to be prefetched.
    fn list(&self, buffers: &mut Self::Buffers, place: Place, next: Option<Place>);

    /// Loads the chunk, for all that follows.
    fn load<S: Simd>(&self, simd: S, buffers: &mut Self::Buffers, place: Place);

    /// Computes `columns` of what the tokens write, where that depends on the memory before the chunk; `memory` begins
    /// at the first of these columns.
    #[inline(always)]
    fn solve<S: Simd>(
        &self,
        _simd: S,
        _buffers: &mut Self::Buffers,
        _place: Place,
        _memory: Option<MatRef<'_, E>>,
        _columns: Range<usize>,
    ) {
    }

    /// Loads what [`solve`](Self::solve) has computed in an earlier walk.
    #[inline(always)]
    fn recover(&self, _buffers: &mut Self::Buffers, _place: Place) {}

    /// Computes and stores the outputs.
    fn read<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        place: Place,
        memory: Option<MatRef<'_, E>>,
    );

    /// Turns `columns` of the memory before the chunk into those after it; `memory` begins at the first of them.
    fn write<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        place: Place,
        memory: MatMut<'_, E>,
        columns: Range<usize>,
    );
}

/// A forward pass: what it reads and what it fills.
#[derive(Clone, Copy)]
pub(crate) struct ForwardPass<'a, E, C> {
    pub chunks: C,
    pub extents: Extents,
    pub cut: &'a Cut,
    /// The initial and the final memories `[b, h, k, v]`.
    pub memory: &'a [E],
    pub last: Output<'a, E>,
    /// The slots of the memories before the chunks: saved for a backward pass, or where the work is divided by chunks.
    pub states: Option<Output<'a, E>>,
    pub division: Division,
}

impl<E: Real, C: ForwardChunk<E>> ForwardPass<'_, E, C> {
    /// Saves `columns` of a memory in a slot, if memories are saved.
    #[inline(always)]
    fn save<S: Simd>(&self, simd: S, slot: Option<usize>, columns: &Range<usize>, memory: &[E]) {
        if let (Some(states), Some(slot)) = (self.states, slot) {
            // SAFETY: every head and every range of columns is one task's.
            unsafe { states::save(simd, states, &self.extents, slot, columns, memory) };
        }
    }
}

impl<E: Real, C: ForwardChunk<E>> Relay<E> for ForwardPass<'_, E, C> {
    type Buffers = C::Buffers;

    fn buffers<S: Simd>(&self, simd: S) -> C::Buffers {
        self.chunks.buffers(simd)
    }

    fn heads(&self) -> usize {
        self.extents.all_heads()
    }

    fn steps(&self, head: usize) -> usize {
        self.cut.chunks(head)
    }

    fn group(&self) -> usize {
        1
    }

    fn carry<S: Simd>(&self, simd: S) -> usize {
        self.extents.key * self.columns(simd)
    }

    fn begin(&self, head: usize, memory: &mut [E]) {
        let all = 0..memory.len() / self.extents.key;
        states::load(self.memory, &self.extents, head, &all, memory);
    }

    #[inline(always)]
    fn advance<S: Simd>(
        &self,
        simd: S,
        buffers: &mut C::Buffers,
        head: usize,
        steps: Range<usize>,
        memory: &mut [E],
    ) {
        let width = Widths::of::<S, E>(&self.extents).value;
        let (all, count) = (0..width, self.cut.chunks(head));
        for index in steps.clone() {
            let place = self.cut.place(head, index);
            self.save(simd, self.cut.slot_before(place), &all, memory);
            let next = (index + 1 < count).then(|| self.cut.place(head, index + 1));
            self.chunks.list(buffers, place, next);
            self.chunks.load(simd, buffers, place);
            let before = (!place.chunk.clears).then(|| MatRef::new(&*memory, width));
            self.chunks.solve(simd, buffers, place, before, all.clone());
            self.chunks.read(simd, buffers, place, before);
            self.chunks.write(simd, buffers, place, MatMut::new(memory, width), all.clone());
        }
        if steps.end == count {
            self.save(simd, Some(self.cut.last_slot(head)), &all, memory);
        }
    }

    fn end(&self, head: usize, memory: &[E]) {
        let all = 0..memory.len() / self.extents.key;
        // SAFETY: every head is one core's at a time.
        unsafe { states::store(self.last, &self.extents, head, &all, memory) };
    }
}

impl<E: Real, C: ForwardChunk<E>> Divisible<E> for ForwardPass<'_, E, C> {
    fn extents(&self) -> &Extents {
        &self.extents
    }

    fn columns<S: Simd>(&self, _: S) -> usize {
        Widths::of::<S, E>(&self.extents).value
    }

    #[inline(always)]
    fn memories<S: Simd>(
        &self,
        simd: S,
        buffers: &mut C::Buffers,
        ranges: &[Range<usize>],
        tasks: Range<usize>,
    ) {
        let mut room = Buffer::<E>::new(self.carry(simd));
        for task in tasks {
            let (head, columns) = (task / ranges.len(), &ranges[task % ranges.len()]);
            let width = columns.len();
            let memory = &mut room[..self.extents.key * width];
            memory.fill(E::default());
            states::load(self.memory, &self.extents, head, columns, memory);
            for index in 0..self.cut.chunks(head) {
                let place = self.cut.place(head, index);
                self.save(simd, self.cut.slot_before(place), columns, memory);
                self.chunks.load(simd, buffers, place);
                let before = (!place.chunk.clears).then(|| MatRef::new(&*memory, width));
                self.chunks.solve(simd, buffers, place, before, columns.clone());
                self.chunks.write(simd, buffers, place, MatMut::new(memory, width), columns.clone());
            }
            self.save(simd, Some(self.cut.last_slot(head)), columns, memory);
            // SAFETY: every range of columns of every head is one task's.
            unsafe { states::store(self.last, &self.extents, head, columns, memory) };
        }
    }

    fn chunks(&self) -> Vec<(usize, usize)> {
        self.cut.all_chunks(1)
    }

    #[inline(always)]
    fn each_chunk<S: Simd>(&self, simd: S, buffers: &mut C::Buffers, chunks: &[(usize, usize)]) {
        let states = self.states.expect("a pass that is divided by chunks saves the memories");
        let widths = Widths::of::<S, E>(&self.extents);
        let size = states::slot_size(&self.extents, widths);
        let mut memory = Buffer::<E>::new(self.carry(simd));
        for (head, index) in chunks {
            let place = self.cut.place(*head, *index);
            let before = self.cut.slot_before(place).map(|slot| {
                // SAFETY: the memories have all been written, and are only read from here on.
                let slot = unsafe { states.read(slot * size, size) };
                states::from_slot(simd, &self.extents, slot, &mut memory);
                MatRef::new(&memory, widths.value)
            });
            self.chunks.load(simd, buffers, place);
            self.chunks.recover(buffers, place);
            self.chunks.read(simd, buffers, place, before);
        }
    }
}

impl<E: Real, C: ForwardChunk<E>> WithSimd for ForwardPass<'_, E, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        run(simd, &self, self.division);
    }
}
