//! The walk forward over the blocks of a head.

use super::gates::{Gates, Mixing};
use super::layer::{Layer, Room, gelu_of};
use super::layout::{Layout, Matrix};
use super::plan::Plan;
use super::square::side;
use crate::kernel::cpu::functions::normal::gelu_and_slope;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::relay::Relay;
use crate::kernel::cpu::transpose::transpose;
use crate::matrix_memory::kernel::cpu::chunks::Place;
use crate::matrix_memory::kernel::cpu::tokens::{Tokens, TokensMut};
use pulp::Simd;
use std::ops::Range;

pub(super) struct Forward<'a, E> {
    pub layout: Layout,
    pub plan: &'a Plan,
    pub query: Tokens<'a, E>,
    pub key: Tokens<'a, E>,
    pub value: Tokens<'a, E>,
    pub gates: Gates<'a, E>,
    /// Before the first token, `[b, h, 3p]`.
    pub memory: &'a [E],
    /// `[b, h, p]`
    pub initial: &'a [E],
    pub output: TokensMut<'a, E>,
    pub last: Output<'a, E>,
    /// If a backward pass follows.
    pub save: Option<Save<'a, E>>,
}

/// What is saved of every block.
#[derive(Clone, Copy)]
pub(super) struct Save<'a, E> {
    /// Weights and momentum before it.
    pub states: Output<'a, E>,
    /// See [`Layout::saved_width`]: matrix after matrix.
    pub tokens: Output<'a, E>,
}

/// Where the next matrix of a block is saved.
struct Pen<'a, E> {
    tokens: Option<Output<'a, E>>,
    at: usize,
}

impl<E: Real> Pen<'_, E> {
    #[inline(always)]
    fn save(&mut self, rows: &[E]) {
        if let Some(tokens) = self.tokens {
            // SAFETY: every block of every head is one core's.
            unsafe { tokens.write(self.at, rows) };
            self.at += rows.len();
        }
    }
}

pub(super) struct Buffers<E> {
    layers: Vec<Layer<E>>,
    mixing: Mixing<E>,
    room: Room<E>,
}

impl<E: Real> Forward<'_, E> {
    /// The gradients of all tokens at the weights where the chunk starts: `x`, `δ` and `u` of every layer.
    #[inline(always)]
    fn gradients<S: Simd>(
        &self,
        simd: S,
        Buffers { layers, mixing, room }: &mut Buffers<E>,
        length: usize,
        carry: &[E],
        pen: &mut Pen<'_, E>,
    ) {
        let last = layers.len() - 1;
        for l in 0..last {
            let (here, next) = layers.split_at_mut(l + 1);
            let layer = &mut here[l];
            layer.multiply_input(simd, &room.prefetch, length, &carry[self.layout.start(l)], Onto::Nothing);
            let rows = layer.outward(length);
            pen.save(&layer.sum[..rows]);
            gelu_of(simd, &layer.sum[..rows], &mut next[0].input[..rows]);
        }
        let layer = &mut layers[last];
        layer.multiply_input(simd, &room.prefetch, length, &carry[self.layout.start(last)], Onto::Target);
        let rows = layer.outward(length);
        pen.save(&layer.sum[..rows]);
        for (error, sum) in layer.error[..rows].iter_mut().zip(&layer.sum[..rows]) {
            *error = *sum + *sum;
        }
        layer.write_error(length, &mixing.step);
        for l in (0..last).rev() {
            let (here, next) = layers.split_at_mut(l + 1);
            let (layer, next) = (&mut here[l], &mut next[0]);
            let (width, Matrix { from, to, to_width, .. }) = (layer.matrix.to_width, next.matrix);
            let start = MatRef::new(&carry[self.layout.start(l + 1)], to_width);
            transpose(simd, (from, to), start, MatMut::new(&mut next.start, width));
            product(
                simd,
                &room.prefetch,
                Extent { rows: length, depth: to, columns: width },
                Strided::rows(&next.error, to_width),
                MatRef::new(&next.start, width),
                MatMut::new(&mut layer.error, width),
                Onto::Nothing,
            );
            let rows = layer.outward(length);
            pen.save(&layer.error[..rows]);
            let sums = E::vectors::<S>(&layer.sum[..rows]);
            for (error, sum) in E::vectors_mut::<S>(&mut layer.error[..rows]).iter_mut().zip(sums) {
                let [_, slope] = gelu_and_slope::<S, E>(simd, *sum);
                *error = E::times(simd, *error, slope);
            }
            layer.write_error(length, &mixing.step);
        }
    }

    /// What the queries read through every layer.
    #[inline(always)]
    fn read<S: Simd>(
        &self,
        simd: S,
        Buffers { layers, mixing, room }: &mut Buffers<E>,
        length: usize,
        carry: &[E],
        pen: &mut Pen<'_, E>,
    ) {
        for l in 0..layers.len() {
            let (here, next) = layers.split_at_mut(l + 1);
            let layer = &mut here[l];
            layer.read(simd, room, mixing, length, &carry[self.layout.pair(l)]);
            if let Some(next) = next.first_mut() {
                let rows = layer.outward(length);
                pen.save(&layer.answer[..rows]);
                gelu_of(simd, &layer.answer[..rows], &mut next.reader[..rows]);
            }
        }
    }

    /// Everything in a block.
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
        if block.tokens.clears {
            self.layout.reset(self.initial, head, carry);
        }
        if block.begins {
            self.layout.begin_chunk(carry);
        }
        let mut pen = Pen { tokens: None, at: self.plan.token(head, index) * self.layout.saved_width() };
        if let Some(Save { states, tokens }) = self.save {
            let slot = self.layout.slot();
            // SAFETY: every block of every head is one core's.
            unsafe { states.write(self.plan.slot(head, index) * slot, &carry[..slot]) };
            pen.tokens = Some(tokens);
        }
        self.load(buffers, place);
        self.gradients(simd, buffers, length, carry, &mut pen);
        self.read(simd, buffers, length, carry, &mut pen);
        let Buffers { layers, mixing, room } = buffers;
        let last = &layers[layers.len() - 1];
        // SAFETY: as above.
        unsafe { self.output.store(place, MatRef::new(&last.answer, last.matrix.to_width)) };
        for (l, layer) in layers.iter_mut().enumerate() {
            layer.write(simd, room, mixing, length, &mut carry[self.layout.pair(l)]);
        }
    }

    #[inline(always)]
    fn load(&self, Buffers { layers, mixing, .. }: &mut Buffers<E>, place: Place) {
        mixing.load(&self.gates, place);
        let first = &mut layers[0];
        let width = first.matrix.from_width;
        self.key.load(place, MatMut::new(&mut first.input, width));
        self.query.load(place, MatMut::new(&mut first.reader, width));
        let last = layers.last_mut().expect("a memory has layers");
        let rows = last.outward(place.chunk.length);
        // What stands in the padding may come from a head that diverged.
        last.sum[..rows].fill(E::default());
        self.value.load(place, MatMut::new(&mut last.sum, last.matrix.to_width));
        for value in &mut last.sum[..rows] {
            *value = E::default() - *value;
        }
    }
}

impl<E: Real> Relay<E> for Forward<'_, E> {
    type Buffers = Buffers<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffers<E> {
        let side = side(self.plan.longest());
        Buffers {
            layers: self.layout.layers.iter().map(|matrix| Layer::new(*matrix, side)).collect(),
            mixing: Mixing::new(side),
            room: Room::new(&self.layout.layers, side),
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
        self.layout.load(self.memory, head, carry);
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
        for step in steps.clone() {
            self.step(simd, buffers, (head, step), carry);
        }
        if steps.end == self.steps(head) && self.plan.is_complete(head) {
            self.layout.begin_chunk(carry);
        }
    }

    fn end(&self, head: usize, carry: &[E]) {
        // SAFETY: every head is one core's at a time.
        unsafe { self.layout.store(self.last, head, carry) };
    }
}
