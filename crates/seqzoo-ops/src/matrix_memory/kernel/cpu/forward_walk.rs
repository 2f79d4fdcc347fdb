//! The walk forward over the chunks of a head, whatever an operator does in them.

use super::chunks::Place;
use super::extents::Widths;
use super::pass::{Carry, Walk};
use super::states;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use pulp::Simd;
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

/// The walk, with an operator's work in its chunks.
#[derive(Clone, Copy)]
pub(crate) struct ForwardWalk<'a, E, C> {
    pub chunks: C,
    /// The slots of the memories before the chunks: saved for a backward pass, or where the work is divided by chunks.
    pub states: Option<Output<'a, E>>,
}

impl<E: Real, C> ForwardWalk<'_, E, C> {
    /// Saves `columns` of a memory in a slot, if memories are saved.
    #[inline(always)]
    fn save<S: Simd>(
        &self,
        simd: S,
        carry: &Carry<'_, E>,
        slot: Option<usize>,
        columns: &Range<usize>,
        memory: &[E],
    ) {
        if let (Some(states), Some(slot)) = (self.states, slot) {
            // SAFETY: every head and every range of columns is one task's.
            unsafe { states::save(simd, states, &carry.extents, slot, columns, memory) };
        }
    }
}

impl<E: Real, C: ForwardChunk<E>> Walk<E> for ForwardWalk<'_, E, C> {
    type Buffers = C::Buffers;

    fn buffers<S: Simd>(&self, simd: S, _: &Carry<'_, E>) -> C::Buffers {
        self.chunks.buffers(simd)
    }

    #[inline(always)]
    fn step<S: Simd>(
        &self,
        simd: S,
        buffers: &mut C::Buffers,
        carry: &Carry<'_, E>,
        (head, index): (usize, usize),
        memory: &mut [E],
    ) {
        let (cut, width) = (carry.cut, Widths::of::<S, E>(&carry.extents).value);
        let place = cut.place(head, index);
        self.save(simd, carry, cut.slot_before(head, index), &(0..width), memory);
        let next = (index + 1 < cut.chunks(head)).then(|| cut.place(head, index + 1));
        self.chunks.list(buffers, place, next);
        self.chunks.load(simd, buffers, place);
        let before = (!place.chunk.clears).then(|| MatRef::new(&*memory, width));
        self.chunks.solve(simd, buffers, place, before, 0..width);
        self.chunks.read(simd, buffers, place, before);
        self.chunks.write(simd, buffers, place, MatMut::new(memory, width), 0..width);
    }

    #[inline(always)]
    fn memory<S: Simd>(
        &self,
        simd: S,
        buffers: &mut C::Buffers,
        carry: &Carry<'_, E>,
        (head, index): (usize, usize),
        columns: &Range<usize>,
        memory: &mut [E],
    ) {
        let (place, width) = (carry.cut.place(head, index), columns.len());
        self.save(simd, carry, carry.cut.slot_before(head, index), columns, memory);
        self.chunks.load(simd, buffers, place);
        let before = (!place.chunk.clears).then(|| MatRef::new(&*memory, width));
        self.chunks.solve(simd, buffers, place, before, columns.clone());
        self.chunks.write(simd, buffers, place, MatMut::new(memory, width), columns.clone());
    }

    #[inline(always)]
    fn last<S: Simd>(
        &self,
        simd: S,
        carry: &Carry<'_, E>,
        head: usize,
        columns: &Range<usize>,
        memory: &[E],
    ) {
        self.save(simd, carry, Some(carry.cut.last_slot(head)), columns, memory);
    }

    #[inline(always)]
    fn rest<S: Simd>(
        &self,
        simd: S,
        buffers: &mut C::Buffers,
        carry: &Carry<'_, E>,
        (head, index): (usize, usize),
        room: &mut [E],
    ) {
        let states = self.states.expect("a pass that is divided by chunks saves the memories");
        let widths = Widths::of::<S, E>(&carry.extents);
        let size = states::slot_size(&carry.extents, widths);
        let place = carry.cut.place(head, index);
        let before = carry.cut.slot_before(head, index).map(|slot| {
            // SAFETY: the memories have all been written, and are only read from here on.
            let slot = unsafe { states.read(slot * size, size) };
            states::from_slot(simd, &carry.extents, slot, room);
            MatRef::new(&*room, widths.value)
        });
        self.chunks.load(simd, buffers, place);
        self.chunks.recover(buffers, place);
        self.chunks.read(simd, buffers, place, before);
    }
}
