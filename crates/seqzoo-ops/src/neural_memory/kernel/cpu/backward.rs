//! The walk back over the blocks of a head.

use super::gates::{Gates, Mixing, MixingGradient};
use super::layout::{Layout, Matrix};
use super::plan::Plan;
use super::read_back::{LayerBack, RoomBack};
use super::square::side;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::functions::normal::{gelu_and_slope, gelu_and_slopes};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::relay::Relay;
use crate::kernel::cpu::transpose::transpose;
use crate::matrix_memory::kernel::cpu::chunks::Place;
use crate::matrix_memory::kernel::cpu::factors::multiply;
use crate::matrix_memory::kernel::cpu::tokens::{Tokens, TokensMut};
use pulp::Simd;
use std::ops::Range;

pub(super) struct Backward<'a, E> {
    pub layout: Layout,
    pub plan: &'a Plan,
    pub query: Tokens<'a, E>,
    pub key: Tokens<'a, E>,
    pub gates: Gates<'a, E>,
    /// Before the first token, `[b, h, 3p]`.
    pub memory: &'a [E],
    /// What the forward pass has saved.
    pub states: &'a [E],
    pub tokens: &'a [E],
    pub upstream: Tokens<'a, E>,
    /// `[b, h, 3p]`
    pub upstream_memory: &'a [E],
    pub d_query: TokensMut<'a, E>,
    pub d_key: TokensMut<'a, E>,
    pub d_value: TokensMut<'a, E>,
    pub d_gates: [TokensMut<'a, E>; 3],
    pub d_memory: Output<'a, E>,
    /// `[b, h, p]`, zeros before the pass.
    pub d_initial: Output<'a, E>,
}

pub(super) struct Buffers<E> {
    layers: Vec<LayerBack<E>>,
    mixing: Mixing<E>,
    gradient: MixingGradient<E>,
    room: RoomBack<E>,
    /// A memory with everything, for the start of a chunk that began before the call.
    before: Buffer<E>,
}

impl<E: Real> Backward<'_, E> {
    /// The weights and momentum before a block.
    fn state(&self, head: usize, block: usize) -> &[E] {
        let size = self.layout.slot();
        &self.states[self.plan.slot(head, block) * size..][..size]
    }

    /// Loads a block, and makes anew what was not saved: `x`, `y`, `δ` and `u` of every layer, and the slopes.
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, buffers: &mut Buffers<E>, (head, index): (usize, usize), place: Place) {
        let Buffers { layers, mixing, gradient, .. } = buffers;
        let length = place.chunk.length;
        mixing.load(&self.gates, place);
        gradient.clear(length);
        let first = &mut layers[0];
        let width = first.matrix.from_width;
        self.key.load(place, MatMut::new(&mut first.input, width));
        self.query.load(place, MatMut::new(&mut first.reader, width));

        let mut at = self.plan.token(head, index) * self.layout.saved_width();
        let mut saved = |rows: usize| {
            at += rows;
            &self.tokens[at - rows..at]
        };
        let last = layers.len() - 1;
        let sums: Vec<_> = layers.iter().map(|layer| saved(layer.outward(length))).collect();
        let layer = &mut layers[last];
        for (error, sum) in layer.error.iter_mut().zip(sums[last]) {
            *error = *sum + *sum;
        }
        layer.write_error(length, &mixing.step);
        let width = layer.matrix.to_width;
        self.upstream.load(place, MatMut::new(&mut layer.d_answer, width));
        for l in (0..last).rev() {
            let (here, next) = layers.split_at_mut(l + 1);
            let layer = &mut here[l];
            let rows = layer.outward(length);
            let sums = E::vectors::<S>(sums[l]).iter().zip(E::vectors::<S>(saved(rows)));
            let slopes = E::vectors_mut::<S>(&mut layer.slope[..rows]).iter_mut();
            let bends = E::vectors_mut::<S>(&mut layer.bend[..rows]).iter_mut();
            let errors = E::vectors_mut::<S>(&mut layer.error[..rows]).iter_mut();
            let inputs = E::vectors_mut::<S>(&mut next[0].input[..rows]).iter_mut();
            for ((((sum, gradient), slope), bend), (error, input)) in
                sums.zip(slopes).zip(bends).zip(errors.zip(inputs))
            {
                let [value, first, second] = gelu_and_slopes::<S, E>(simd, *sum);
                (*input, *slope) = (value, first);
                *bend = E::times(simd, *gradient, second);
                *error = E::times(simd, *gradient, first);
            }
            layer.write_error(length, &mixing.step);
        }
        for l in 0..last {
            let (here, next) = layers.split_at_mut(l + 1);
            let layer = &mut here[l];
            let rows = layer.outward(length);
            let answers = E::vectors::<S>(saved(rows)).iter();
            let slopes = E::vectors_mut::<S>(&mut layer.reader_slope[..rows]).iter_mut();
            let readers = E::vectors_mut::<S>(&mut next[0].reader[..rows]).iter_mut();
            for ((answer, slope), reader) in answers.zip(slopes).zip(readers) {
                [*reader, *slope] = gelu_and_slope::<S, E>(simd, *answer);
            }
        }
    }

    /// Back through everything that the block reads and writes.
    #[inline(always)]
    fn read_back<S: Simd>(
        &self,
        simd: S,
        Buffers { layers, mixing, gradient, room, .. }: &mut Buffers<E>,
        length: usize,
        state: &[E],
        carry: &mut [E],
    ) {
        for l in (0..layers.len()).rev() {
            let pair = self.layout.pair(l);
            let layer = &mut layers[l];
            layer.read_back(simd, room, (mixing, gradient), length, &state[pair.clone()], &mut carry[pair]);
            if l > 0 {
                let (before, here) = layers.split_at_mut(l);
                let before = &mut before[l - 1];
                let rows = before.outward(length);
                product_of_rows(&mut before.d_answer[..rows], &here[0].d_reader, &before.reader_slope);
            }
        }
    }

    /// Back through the gradients that the block took at the weights where its chunk begins.
    #[inline(always)]
    fn gradients_back<S: Simd>(
        &self,
        simd: S,
        Buffers { layers, mixing, gradient, room, .. }: &mut Buffers<E>,
        length: usize,
        start: impl Fn(usize) -> Range<usize>,
        starts: &[E],
        carry: &mut [E],
    ) {
        let (prefetch, last) = (&room.forward.prefetch, layers.len() - 1);
        for layer in layers.iter_mut() {
            let to_width = layer.matrix.to_width;
            let rows = layer.d_written.chunks_exact_mut(to_width).zip(layer.error.chunks_exact(to_width));
            for (t, (d_written, error)) in rows.take(length).enumerate() {
                let step = E::default() - mixing.step[t];
                let d_step = dot(simd, d_written, error);
                gradient.gates[2][t] += E::default() - d_step;
                for number in d_written {
                    *number *= step;
                }
            }
        }
        for l in 0..last {
            let (here, next) = layers.split_at_mut(l + 1);
            let (layer, next) = (&mut here[l], &mut next[0]);
            let (rows, width) = (layer.outward(length), layer.matrix.to_width);
            product_of_rows(&mut layer.d_sum[..rows], &layer.d_written, &layer.bend);
            multiply(&mut layer.d_written[..rows], &layer.slope);
            let Matrix { from, to_width, .. } = next.matrix;
            product(
                simd,
                prefetch,
                Extent { rows: length, depth: from, columns: to_width },
                Strided::rows(&layer.d_written, width),
                MatRef::new(&starts[start(l + 1)], to_width),
                MatMut::new(&mut next.d_written, to_width),
                Onto::Target,
            );
            product(
                simd,
                prefetch,
                Extent { rows: from, depth: length, columns: to_width },
                Strided::transposed(&layer.d_written, width),
                MatRef::new(&next.error, to_width),
                MatMut::new(&mut carry[self.layout.start(l + 1)], to_width),
                Onto::Target,
            );
        }
        let layer = &mut layers[last];
        let rows = layer.outward(length);
        for (d_sum, d_error) in layer.d_sum[..rows].iter_mut().zip(&layer.d_written[..rows]) {
            *d_sum = *d_error + *d_error;
        }
        for l in (0..=last).rev() {
            let (before, here) = layers.split_at_mut(l);
            let layer = &mut here[0];
            let Matrix { from, to, from_width, to_width, .. } = layer.matrix;
            let (matrix, turned) = (MatRef::new(&starts[start(l)], to_width), &mut layer.start);
            transpose(simd, (from, to), matrix, MatMut::new(turned, from_width));
            product(
                simd,
                prefetch,
                Extent { rows: length, depth: to, columns: from_width },
                Strided::rows(&layer.d_sum, to_width),
                MatRef::new(&layer.start, from_width),
                MatMut::new(&mut layer.d_input, from_width),
                Onto::Target,
            );
            product(
                simd,
                prefetch,
                Extent { rows: from, depth: length, columns: to_width },
                Strided::transposed(&layer.input, from_width),
                MatRef::new(&layer.d_sum, to_width),
                MatMut::new(&mut carry[self.layout.start(l)], to_width),
                Onto::Target,
            );
            if let Some(before) = before.last_mut() {
                let rows = before.outward(length);
                let pairs = layer.d_input[..rows].iter().zip(&before.slope[..rows]);
                for (sum, (d_input, slope)) in before.d_sum[..rows].iter_mut().zip(pairs) {
                    *sum += *d_input * *slope;
                }
            }
        }
    }

    /// Everything in a block; `carry` holds the gradients of the memory after it.
    #[inline(always)]
    fn step<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Buffers<E>,
        (head, index): (usize, usize),
        carry: &mut [E],
    ) {
        let (block, place) = (self.plan.blocks(head)[index], self.plan.place(head, index));
        let length = block.tokens.length;
        self.load(simd, buffers, (head, index), place);
        self.read_back(simd, buffers, length, self.state(head, index), carry);
        match block.origin {
            Some(origin) => {
                let starts = self.state(head, origin);
                self.gradients_back(simd, buffers, length, |l| self.layout.weights(l), starts, carry);
            }
            None => {
                let mut before = std::mem::replace(&mut buffers.before, Buffer::new(0));
                self.layout.load(self.memory, head, &mut before);
                self.gradients_back(simd, buffers, length, |l| self.layout.start(l), &before, carry);
                buffers.before = before;
            }
        }
        let Buffers { layers, mixing, gradient, .. } = buffers;
        gradient.gates(simd, mixing, length);
        let (first, last) = (&layers[0], layers.len() - 1);
        // SAFETY: every block of every head is one core's.
        unsafe {
            self.d_query.store(place, MatRef::new(&first.d_reader, first.matrix.from_width));
            self.d_key.store(place, MatRef::new(&first.d_input, first.matrix.from_width));
            for (to, gate) in self.d_gates.iter().zip(&gradient.gates) {
                to.store(place, MatRef::new(gate, 1));
            }
        }
        let last = &mut layers[last];
        let rows = last.outward(length);
        for number in &mut last.d_sum[..rows] {
            *number = E::default() - *number;
        }
        // SAFETY: as above.
        unsafe { self.d_value.store(place, MatRef::new(&last.d_sum, last.matrix.to_width)) };
        if block.begins {
            self.layout.begin_chunk_back(carry);
        }
        if block.tokens.clears {
            // SAFETY: every head is one core's at a time.
            unsafe { self.layout.reset_back(self.d_initial, head, carry) };
        }
    }
}

/// `to = a ⊙ b`, as far as `to` goes.
#[inline(always)]
fn product_of_rows<E: Real>(to: &mut [E], a: &[E], b: &[E]) {
    for (to, (a, b)) in to.iter_mut().zip(a.iter().zip(b)) {
        *to = *a * *b;
    }
}

impl<E: Real> Relay<E> for Backward<'_, E> {
    type Buffers = Buffers<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffers<E> {
        let side = side(self.plan.longest());
        Buffers {
            layers: self.layout.layers.iter().map(|matrix| LayerBack::new(*matrix, side)).collect(),
            mixing: Mixing::new(side),
            gradient: MixingGradient::new(side),
            room: RoomBack::new(&self.layout.layers, side),
            before: Buffer::new(self.layout.carry()),
        }
    }

    fn heads(&self) -> usize {
        self.plan.all_heads()
    }

    fn steps(&self, head: usize) -> usize {
        self.plan.blocks(head).len()
    }

    fn group(&self) -> usize {
        1
    }

    fn carry<S: Simd>(&self, _: S) -> usize {
        self.layout.carry()
    }

    fn begin(&self, head: usize, carry: &mut [E]) {
        self.layout.load(self.upstream_memory, head, carry);
        if self.plan.is_complete(head) {
            self.layout.begin_chunk_back(carry);
        }
    }

    #[inline(always)]
    fn advance<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Buffers<E>,
        head: usize,
        steps: Range<usize>,
        carry: &mut [E],
    ) {
        let blocks = self.steps(head);
        for step in steps {
            self.step(simd, buffers, (head, blocks - 1 - step), carry);
        }
    }

    fn end(&self, head: usize, carry: &[E]) {
        // SAFETY: every head is one core's at a time.
        unsafe { self.layout.store(self.d_memory, head, carry) };
    }
}
