//! The backward pass over a batch: the order in which chunks are walked, whatever an operator does in them.

use super::backward::Given;
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

/// A backward pass: what it reads and what it fills.
#[derive(Clone, Copy)]
pub(crate) struct BackwardPass<'a, E, C> {
    pub chunks: C,
    pub extents: Extents,
    pub cut: &'a Cut,
    /// Neighbouring heads whose gradients are summed.
    pub group: usize,
    /// The slots that the forward pass has saved.
    pub states: &'a [E],
    /// The gradients of the final and of the initial memories `[b, h, k, v]`.
    pub upstream_memory: &'a [E],
    pub d_memory: Output<'a, E>,
    /// The gradients of the memories in the slots, where the work is divided by chunks; else nothing.
    pub state_gradients: Output<'a, E>,
    pub division: Division,
}

impl<E: Real, C: BackwardChunk<E>> BackwardPass<'_, E, C> {
    /// The memory before a chunk, as it was saved; none where the chunk clears it.
    #[inline(always)]
    fn state(&self, place: Place, widths: Widths) -> Option<&[E]> {
        let size = states::slot_size(&self.extents, widths);
        self.cut.slot_before(place).map(|slot| &self.states[slot * size..][..size])
    }
}

impl<E: Real, C: BackwardChunk<E>> Relay<E> for BackwardPass<'_, E, C> {
    /// With room for the gradient of a memory in a slot's layout.
    type Buffers = (C::Buffers, Buffer<E>);

    fn buffers<S: Simd>(&self, simd: S) -> Self::Buffers {
        let size = states::slot_size(&self.extents, Widths::of::<S, E>(&self.extents));
        (self.chunks.buffers(simd), Buffer::new(size))
    }

    fn heads(&self) -> usize {
        self.extents.all_heads()
    }

    fn steps(&self, head: usize) -> usize {
        self.cut.chunks(head)
    }

    fn group(&self) -> usize {
        self.group
    }

    fn carry<S: Simd>(&self, simd: S) -> usize {
        self.extents.key * self.columns(simd)
    }

    fn begin(&self, head: usize, memory_gradient: &mut [E]) {
        let all = 0..memory_gradient.len() / self.extents.key;
        states::load(self.upstream_memory, &self.extents, head, &all, memory_gradient);
    }

    #[inline(always)]
    fn advance<S: Simd>(
        &self,
        simd: S,
        (buffers, transposed): &mut Self::Buffers,
        head: usize,
        steps: Range<usize>,
        memory_gradient: &mut [E],
    ) {
        let widths = Widths::of::<S, E>(&self.extents);
        let (all, count) = (0..widths.value, self.cut.chunks(head));
        for step in steps {
            let index = count - 1 - step;
            let place = self.cut.place(head, index);
            let next = index.checked_sub(1).map(|index| self.cut.place(head, index));
            self.chunks.list(buffers, place, next, next.and_then(|next| self.state(next, widths)));
            self.chunks.load(buffers, place);
            let gradient = MatRef::new(&*memory_gradient, widths.value);
            self.chunks.solve(simd, buffers, place, gradient, all.clone());
            states::to_slot(simd, &self.extents, memory_gradient, transposed);
            let given = Given { before: self.state(place, widths), memory_gradient: transposed };
            self.chunks.tokens(simd, buffers, place, given, gradient);
            let gradient = MatMut::new(memory_gradient, widths.value);
            self.chunks.write(simd, buffers, place, gradient, all.clone());
        }
    }

    fn end(&self, head: usize, memory_gradient: &[E]) {
        let all = 0..memory_gradient.len() / self.extents.key;
        // SAFETY: every head is one core's at a time.
        unsafe { states::store(self.d_memory, &self.extents, head, &all, memory_gradient) };
    }
}

impl<E: Real, C: BackwardChunk<E>> Divisible<E> for BackwardPass<'_, E, C> {
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
        (buffers, _): &mut Self::Buffers,
        ranges: &[Range<usize>],
        tasks: Range<usize>,
    ) {
        let mut room = Buffer::<E>::new(self.carry(simd));
        for task in tasks {
            let (head, columns) = (task / ranges.len(), &ranges[task % ranges.len()]);
            let width = columns.len();
            let gradient = &mut room[..self.extents.key * width];
            gradient.fill(E::default());
            states::load(self.upstream_memory, &self.extents, head, columns, gradient);
            for index in (0..self.cut.chunks(head)).rev() {
                let place = self.cut.place(head, index);
                if let Some(slot) = self.cut.slot_after(head, index) {
                    // SAFETY: every range of columns of every head is one task's.
                    unsafe {
                        states::save(simd, self.state_gradients, &self.extents, slot, columns, gradient);
                    }
                }
                self.chunks.load_for_memory(buffers, place);
                self.chunks.solve(simd, buffers, place, MatRef::new(gradient, width), columns.clone());
                self.chunks.keep(buffers, place, columns.clone());
                self.chunks.write(simd, buffers, place, MatMut::new(gradient, width), columns.clone());
            }
            // SAFETY: every range of columns of every head is one task's.
            unsafe { states::store(self.d_memory, &self.extents, head, columns, gradient) };
        }
    }

    fn chunks(&self) -> Vec<(usize, usize)> {
        self.cut.all_chunks(self.group)
    }

    #[inline(always)]
    fn each_chunk<S: Simd>(&self, simd: S, (buffers, _): &mut Self::Buffers, chunks: &[(usize, usize)]) {
        let widths = Widths::of::<S, E>(&self.extents);
        let size = states::slot_size(&self.extents, widths);
        let nothing = Buffer::<E>::new(size);
        let mut gradient = Buffer::<E>::new(self.carry(simd));
        for (first, index) in chunks {
            for head in *first..first + self.group {
                let place = self.cut.place(head, *index);
                let transposed: &[E] = match self.cut.slot_after(head, *index) {
                    // SAFETY: the gradients have all been written, and are only read from here on.
                    Some(slot) => unsafe { self.state_gradients.read(slot * size, size) },
                    None => &nothing,
                };
                states::from_slot(simd, &self.extents, transposed, &mut gradient);
                self.chunks.load(buffers, place);
                self.chunks.recover(buffers, place);
                let given = Given { before: self.state(place, widths), memory_gradient: transposed };
                let gradient = MatRef::new(&gradient, widths.value);
                self.chunks.tokens(simd, buffers, place, given, gradient);
            }
        }
    }
}

impl<E: Real, C: BackwardChunk<E>> WithSimd for BackwardPass<'_, E, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        run(simd, &self, self.division);
    }
}
