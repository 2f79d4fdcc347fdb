//! The tokens of a block in a layer of the memory, on the way forward.

use super::gates::Mixing;
use super::layout::Matrix;
use super::rows::{scaled, write_error};
use super::square::{lower, multiply};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::functions::normal::gelu;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;

/// Rows of tokens, as wide as what goes into the layer or comes out of it.
pub(super) struct Layer<E> {
    pub matrix: Matrix,
    /// `x`: what of the keys goes in.
    pub input: Buffer<E>,
    /// `z = x W*`; in the last layer less the values.
    pub sum: Buffer<E>,
    /// `δ`: the gradient of `z`.
    pub error: Buffer<E>,
    /// `u = -θ δ`.
    pub written: Buffer<E>,
    /// `y`: what of the queries goes in.
    pub reader: Buffer<E>,
    /// `y W_t`.
    pub answer: Buffer<E>,
    /// `W*`, transposed.
    pub start: Buffer<E>,
}

impl<E: Real> Layer<E> {
    pub fn new(matrix: Matrix, side: usize) -> Self {
        let inward = || Buffer::new(side * matrix.from_width);
        let outward = || Buffer::new(side * matrix.to_width);
        Self {
            matrix,
            input: inward(),
            sum: outward(),
            error: outward(),
            written: outward(),
            reader: inward(),
            answer: outward(),
            start: Buffer::new(matrix.to * matrix.from_width),
        }
    }

    /// Rows of what comes out of the layer.
    pub fn outward(&self, length: usize) -> usize {
        length * self.matrix.to_width
    }

    /// `sum = x W* + onto`.
    #[inline(always)]
    pub fn multiply_input<S: Simd>(
        &mut self,
        simd: S,
        prefetch: &Prefetch,
        length: usize,
        start: &[E],
        onto: Onto<'_, E>,
    ) {
        let Matrix { from, from_width, to_width, .. } = self.matrix;
        product(
            simd,
            prefetch,
            Extent { rows: length, depth: from, columns: to_width },
            Strided::rows(&self.input, from_width),
            MatRef::new(start, to_width),
            MatMut::new(&mut self.sum, to_width),
            onto,
        );
    }

    /// `u = -θ δ`.
    #[inline(always)]
    pub fn write_error(&mut self, length: usize, step: &[E]) {
        write_error(&self.matrix, &mut self.written, &self.error, &step[..length]);
    }

    /// Reads: `answer = a ⊙ (y W) + m ⊙ (y S) + ((y xᵀ) ⊙ N) u`, where `W` and `S` stand one after the other in `pair`.
    #[inline(always)]
    pub fn read<S: Simd>(
        &mut self,
        simd: S,
        room: &mut Room<E>,
        mixing: &Mixing<E>,
        length: usize,
        pair: &[E],
    ) {
        let Matrix { from, to_width, .. } = self.matrix;
        room.overlap(simd, &self.matrix, length, &self.input, &self.reader);
        multiply(length, room.side, &mut room.products, &mixing.written);
        room.mix(&self.matrix, length, &self.reader, mixing);
        product(
            simd,
            &room.prefetch,
            Extent { rows: length, depth: 2 * from, columns: to_width },
            Strided::rows(&room.mixed, 2 * from),
            MatRef::new(pair, to_width),
            MatMut::new(&mut self.answer, to_width),
            Onto::Nothing,
        );
        product(
            simd,
            &room.prefetch,
            Extent { rows: length, depth: length, columns: to_width },
            Strided::rows(&room.products, room.side).lower(),
            MatRef::new(&self.written, to_width),
            MatMut::new(&mut self.answer, to_width),
            Onto::Target,
        );
    }

    /// Takes weights and momentum, which stand one after the other in `pair`, over the block.
    #[inline(always)]
    pub fn write<S: Simd>(
        &mut self,
        simd: S,
        room: &mut Room<E>,
        mixing: &Mixing<E>,
        length: usize,
        pair: &mut [E],
    ) {
        let Matrix { from, from_width, to_width, .. } = self.matrix;
        let [kept, added, left] = mixing.after(length);
        let (weights, momentum) = pair.split_at_mut(self.matrix.padded());
        for (weight, momentum) in weights.iter_mut().zip(&mut *momentum) {
            *weight = kept * *weight + added * *momentum;
            *momentum *= left;
        }
        for (factors, matrix) in mixing.last_rows(length).into_iter().zip([weights, momentum]) {
            let rows = room.scaled.chunks_exact_mut(to_width).zip(self.written.chunks_exact(to_width));
            for ((to, written), factor) in rows.zip(factors) {
                scaled(to, written, *factor);
            }
            product(
                simd,
                &room.prefetch,
                Extent { rows: from, depth: length, columns: to_width },
                Strided::transposed(&self.input, from_width),
                MatRef::new(&room.scaled, to_width),
                MatMut::new(matrix, to_width),
                Onto::Target,
            );
        }
    }
}

/// Room that all layers use, one after the other.
pub(super) struct Room<E> {
    pub prefetch: Prefetch,
    pub side: usize,
    /// The input by columns: a row of `side` tokens for every channel.
    pub columns: Buffer<E>,
    /// Products of readers with inputs.
    pub products: Buffer<E>,
    /// Readers times `a`, and times `m`, in one row without padding.
    pub mixed: Buffer<E>,
    /// What is written, times the coefficients of the block's end.
    pub scaled: Buffer<E>,
}

impl<E: Real> Room<E> {
    pub fn new(layers: &[Matrix], side: usize) -> Self {
        let most = |size: fn(&Matrix) -> usize| layers.iter().map(size).max().unwrap_or(0);
        Self {
            prefetch: Prefetch::default(),
            side,
            columns: Buffer::new(side * most(|matrix| matrix.from.max(matrix.to))),
            products: Buffer::new(side * side),
            mixed: Buffer::new(side * most(|matrix| 2 * matrix.from)),
            scaled: Buffer::new(side * most(|matrix| matrix.to_width)),
        }
    }

    /// `products = y xᵀ`, with zeros where the column is later.
    #[inline(always)]
    pub fn overlap<S: Simd>(&mut self, simd: S, matrix: &Matrix, length: usize, input: &[E], reader: &[E]) {
        let (side, width) = (self.side, matrix.from_width);
        let columns = MatMut::new(&mut self.columns, side);
        transpose(simd, (length, matrix.from), MatRef::new(input, width), columns);
        let (extent, products) = ((length, matrix.from), MatMut::new(&mut self.products, side));
        lower(simd, &self.prefetch, extent, MatRef::new(reader, width), &self.columns, products);
    }

    /// `mixed = [a ⊙ y, m ⊙ y]`.
    #[inline(always)]
    pub fn mix(&mut self, matrix: &Matrix, length: usize, reader: &[E], mixing: &Mixing<E>) {
        let rows = self.mixed.chunks_exact_mut(2 * matrix.from).zip(reader.chunks_exact(matrix.from_width));
        for (t, (mixed, reader)) in rows.take(length).enumerate() {
            let (by_weights, by_momentum) = mixed.split_at_mut(matrix.from);
            scaled(by_weights, reader, mixing.weights[t]);
            scaled(by_momentum, reader, mixing.momentum[t]);
        }
    }
}

/// `to = GELU(from)`.
#[inline(always)]
pub(super) fn gelu_of<S: Simd, E: Real>(simd: S, from: &[E], to: &mut [E]) {
    for (to, from) in E::vectors_mut::<S>(to).iter_mut().zip(E::vectors::<S>(from)) {
        *to = gelu::<S, E>(simd, *from);
    }
}
