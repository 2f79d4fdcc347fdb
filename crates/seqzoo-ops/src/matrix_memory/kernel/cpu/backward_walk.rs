//! The walk back over the chunks of a head, whatever an operator does in them.

use super::backward::Given;
use super::chunks::Place;
use super::extents::Widths;
use super::pass::{Carry, Walk};
use super::states;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use std::ops::Range;

/// An operator's work in one chunk.
pub(crate) trait BackwardChunk<E: Real>: Sync {
    type Buffers;

    fn buffers<S: Simd>(&self, simd: S) -> Self::Buffers;

    /// Lists what the chunk will write and the next one, which is earlier, will read, to be prefetched; `state` is the
    /// memory that the next one will read.
    fn list(&self, buffers: &mut Self::Buffers, place: Place, next: Option<Place>, state: Option<&[E]>);

    /// Loads the chunk, for all that follows.
    fn load(&self, buffers: &mut Self::Buffers, place: Place);

    /// Loads what [`solve`](Self::solve) and [`write`](Self::write) need.
    fn load_for_memory(&self, buffers: &mut Self::Buffers, place: Place);

    /// Computes `columns` of the gradients that depend on that of the memory after the chunk and on which the gradient
    /// of the memory before it depends; `memory_gradient` begins at the first of these columns.
    #[inline(always)]
    fn solve<S: Simd>(
        &self,
        _simd: S,
        _buffers: &mut Self::Buffers,
        _place: Place,
        _memory_gradient: MatRef<'_, E>,
        _columns: Range<usize>,
    ) {
    }

    /// Stores `columns` of what [`solve`](Self::solve) has computed, for a later walk.
    #[inline(always)]
    fn keep(&self, _buffers: &mut Self::Buffers, _place: Place, _columns: Range<usize>) {}

    /// Loads what [`keep`](Self::keep) has stored.
    #[inline(always)]
    fn recover(&self, _buffers: &mut Self::Buffers, _place: Place) {}

    /// Computes and stores the gradients of the chunk's tokens. `memory_gradient` is the transpose of
    /// [`Given::memory_gradient`].
    fn tokens<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        place: Place,
        given: Given<'_, E>,
        memory_gradient: MatRef<'_, E>,
    );

    /// Turns `columns` of the gradient of the memory after the chunk into those of the memory before it.
    fn write<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Self::Buffers,
        place: Place,
        memory_gradient: MatMut<'_, E>,
        columns: Range<usize>,
    );
}

/// The walk, with an operator's work in its chunks.
#[derive(Clone, Copy)]
pub(crate) struct BackwardWalk<'a, E, C> {
    pub chunks: C,
    /// The slots that the forward pass has saved.
    pub states: &'a [E],
    /// The gradients of the memories in the slots, where the work is divided by chunks; else nothing.
    pub state_gradients: Output<'a, E>,
}

impl<E: Real, C> BackwardWalk<'_, E, C> {
    /// The memory before a chunk of a head, as it was saved; none where the chunk clears it.
    #[inline(always)]
    fn state<S: Simd>(&self, carry: &Carry<'_, E>, head: usize, index: usize) -> Option<&[E]> {
        let size = states::slot_size(&carry.extents, Widths::of::<S, E>(&carry.extents));
        carry.cut.slot_before(head, index).map(|slot| &self.states[slot * size..][..size])
    }
}

/// The number of the chunk of a step.
fn chunk_of<E: Real>(carry: &Carry<'_, E>, (head, step): (usize, usize)) -> usize {
    carry.cut.chunks(head) - 1 - step
}

impl<E: Real, C: BackwardChunk<E>> Walk<E> for BackwardWalk<'_, E, C> {
    /// With room for the gradient of a memory in a slot's layout.
    type Buffers = (C::Buffers, Buffer<E>);

    fn buffers<S: Simd>(&self, simd: S, carry: &Carry<'_, E>) -> Self::Buffers {
        let size = states::slot_size(&carry.extents, Widths::of::<S, E>(&carry.extents));
        (self.chunks.buffers(simd), Buffer::new(size))
    }

    #[inline(always)]
    fn step<S: Simd>(
        &self,
        simd: S,
        (buffers, transposed): &mut Self::Buffers,
        carry: &Carry<'_, E>,
        at: (usize, usize),
        memory_gradient: &mut [E],
    ) {
        let (index, width) = (chunk_of(carry, at), Widths::of::<S, E>(&carry.extents).value);
        let place = carry.cut.place(at.0, index);
        let next = index.checked_sub(1);
        let state = next.and_then(|index| self.state::<S>(carry, at.0, index));
        self.chunks.list(buffers, place, next.map(|index| carry.cut.place(at.0, index)), state);
        self.chunks.load(buffers, place);
        let gradient = MatRef::new(&*memory_gradient, width);
        self.chunks.solve(simd, buffers, place, gradient, 0..width);
        states::to_slot(simd, &carry.extents, memory_gradient, transposed);
        let given = Given { before: self.state::<S>(carry, at.0, index), memory_gradient: transposed };
        self.chunks.tokens(simd, buffers, place, given, gradient);
        self.chunks.write(simd, buffers, place, MatMut::new(memory_gradient, width), 0..width);
    }

    #[inline(always)]
    fn memory<S: Simd>(
        &self,
        simd: S,
        (buffers, _): &mut Self::Buffers,
        carry: &Carry<'_, E>,
        at: (usize, usize),
        columns: &Range<usize>,
        memory_gradient: &mut [E],
    ) {
        let (index, width) = (chunk_of(carry, at), columns.len());
        let place = carry.cut.place(at.0, index);
        if let Some(slot) = carry.cut.slot_after(at.0, index) {
            let to = self.state_gradients;
            // SAFETY: every range of columns of every head is one task's.
            unsafe { states::save(simd, to, &carry.extents, slot, columns, memory_gradient) };
        }
        self.chunks.load_for_memory(buffers, place);
        self.chunks.solve(simd, buffers, place, MatRef::new(memory_gradient, width), columns.clone());
        self.chunks.keep(buffers, place, columns.clone());
        self.chunks.write(simd, buffers, place, MatMut::new(memory_gradient, width), columns.clone());
    }

    #[inline(always)]
    fn rest<S: Simd>(
        &self,
        simd: S,
        (buffers, zeros): &mut Self::Buffers,
        carry: &Carry<'_, E>,
        at: (usize, usize),
        room: &mut [E],
    ) {
        let (index, size) = (chunk_of(carry, at), zeros.len());
        let place = carry.cut.place(at.0, index);
        let transposed: &[E] = match carry.cut.slot_after(at.0, index) {
            // SAFETY: the gradients have all been written, and are only read from here on.
            Some(slot) => unsafe { self.state_gradients.read(slot * size, size) },
            None => zeros, // which only `step` writes
        };
        states::from_slot(simd, &carry.extents, transposed, room);
        self.chunks.load(buffers, place);
        self.chunks.recover(buffers, place);
        let given = Given { before: self.state::<S>(carry, at.0, index), memory_gradient: transposed };
        let gradient = MatRef::new(&*room, Widths::of::<S, E>(&carry.extents).value);
        self.chunks.tokens(simd, buffers, place, given, gradient);
    }
}
