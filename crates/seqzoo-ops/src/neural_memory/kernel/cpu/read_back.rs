//! The way back through a layer that was read and written.

use super::gates::{Mixing, MixingGradient};
use super::layer::Room;
use super::layout::Matrix;
use super::rows::{scaled, write_error};
use super::square::{lower, multiply};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use pulp::Simd;

/// The tokens of a block in a layer, and their gradients: rows as wide as what goes into the layer or comes out of it.
pub(super) struct LayerBack<E> {
    pub matrix: Matrix,
    /// `x` and `y`: what of keys and queries goes in.
    pub input: Buffer<E>,
    pub reader: Buffer<E>,
    /// `δ` and `u = -θ δ`.
    pub error: Buffer<E>,
    pub written: Buffer<E>,
    /// Of what comes out, but for the last layer: the slope of GELU at `z`; the slope of that slope, times the gradient of
    /// what GELU makes of `z`; the slope at what the query reads.
    pub slope: Buffer<E>,
    pub bend: Buffer<E>,
    pub reader_slope: Buffer<E>,
    /// The gradients of `x`, `y`, `z`, `u` and what the query reads. On the way back through the inner gradients that of `u`
    /// becomes that of `δ`, and then that of what GELU made of `z`.
    pub d_input: Buffer<E>,
    pub d_reader: Buffer<E>,
    pub d_sum: Buffer<E>,
    pub d_written: Buffer<E>,
    pub d_answer: Buffer<E>,
    /// `W*`, transposed.
    pub start: Buffer<E>,
    /// `W` and `S`, transposed, beside each other.
    pair: Buffer<E>,
    /// The gradients of `W` and `S` after the block, transposed, one after the other.
    d_pair: Buffer<E>,
}

/// Room that all layers use, one after the other, beside what they use on the way forward.
pub(super) struct RoomBack<E> {
    pub forward: Room<E>,
    /// Products of readers with inputs, times the coefficients.
    weighed: Buffer<E>,
    d_products: Buffer<E>,
    /// What comes to the reader from `W`, and beside it from `S`.
    through: Buffer<E>,
    /// What the input finds in the gradients of `W` and of `S` after the block.
    found: [Buffer<E>; 2],
    /// What is written, times the coefficients of the end in `W` and in `S`, in one row without padding.
    written: Buffer<E>,
}

impl<E: Real> RoomBack<E> {
    pub fn new(layers: &[Matrix], side: usize) -> Self {
        let most = |size: fn(&Matrix) -> usize| side * layers.iter().map(size).max().unwrap_or(0);
        Self {
            forward: Room::new(layers, side),
            weighed: Buffer::new(side * side),
            d_products: Buffer::new(side * side),
            through: Buffer::new(most(|matrix| 2 * matrix.from_width)),
            found: [(); 2].map(|()| Buffer::new(most(|matrix| matrix.to_width))),
            written: Buffer::new(most(|matrix| 2 * matrix.to)),
        }
    }
}

impl<E: Real> LayerBack<E> {
    pub fn new(matrix: Matrix, side: usize) -> Self {
        let inward = || Buffer::new(side * matrix.from_width);
        let outward = || Buffer::new(side * matrix.to_width);
        let turned = |matrices: usize| Buffer::new(matrices * matrix.to * matrix.from_width);
        Self {
            matrix,
            input: inward(),
            reader: inward(),
            error: outward(),
            written: outward(),
            slope: outward(),
            bend: outward(),
            reader_slope: outward(),
            d_input: inward(),
            d_reader: inward(),
            d_sum: outward(),
            d_written: outward(),
            d_answer: outward(),
            start: turned(1),
            pair: turned(2),
            d_pair: turned(2),
        }
    }

    /// Rows of what comes out of the layer.
    pub fn outward(&self, length: usize) -> usize {
        length * self.matrix.to_width
    }

    /// `u = -θ δ`.
    #[inline(always)]
    pub fn write_error(&mut self, length: usize, step: &[E]) {
        write_error(&self.matrix, &mut self.written, &self.error, &step[..length]);
    }

    /// From the gradients of what the block reads and of the `pair` `W, S` after it to those of `x`, `y`, `u`, of the
    /// coefficients, and of the pair before it.
    #[inline(always)]
    pub fn read_back<S: Simd>(
        &mut self,
        simd: S,
        room: &mut RoomBack<E>,
        (mixing, gradient): (&Mixing<E>, &mut MixingGradient<E>),
        length: usize,
        pair: &[E],
        d_pair: &mut [E],
    ) {
        self.d_products(simd, room, (mixing, gradient), length);
        self.d_reader(simd, room, (mixing, gradient), length, pair);
        self.d_written(simd, room, (mixing, gradient), length, d_pair);
        self.d_input(simd, room, mixing, length, d_pair);
        self.d_memory(simd, room, (mixing, gradient), length, pair, d_pair);
    }

    /// The products of readers and inputs, and their gradients.
    #[inline(always)]
    fn d_products<S: Simd>(
        &mut self,
        simd: S,
        RoomBack { forward, weighed, d_products, .. }: &mut RoomBack<E>,
        (mixing, gradient): (&Mixing<E>, &mut MixingGradient<E>),
        length: usize,
    ) {
        let (Matrix { to, to_width, .. }, side) = (self.matrix, forward.side);
        forward.overlap(simd, &self.matrix, length, &self.input, &self.reader);
        weighed[..length * side].copy_from_slice(&forward.products[..length * side]);
        multiply(length, side, weighed, &mixing.written);

        let columns = MatMut::new(&mut forward.columns, side);
        transpose(simd, (length, to), MatRef::new(&self.written, to_width), columns);
        let (extent, square) = ((length, to), MatMut::new(&mut *d_products, side));
        let rows = MatRef::new(&self.d_answer, to_width);
        lower(simd, &forward.prefetch, extent, rows, &forward.columns, square);
        for i in 0..length {
            let row = i * side..i * side + i + 1;
            let pairs = d_products[row.clone()].iter().zip(&forward.products[row.clone()]);
            for (sum, (d_product, product)) in gradient.written[row].iter_mut().zip(pairs) {
                *sum += *d_product * *product;
            }
        }
        multiply(length, side, d_products, &mixing.written);
    }

    #[inline(always)]
    fn d_reader<S: Simd>(
        &mut self,
        simd: S,
        RoomBack { forward, d_products, through, .. }: &mut RoomBack<E>,
        (mixing, gradient): (&Mixing<E>, &mut MixingGradient<E>),
        length: usize,
        pair: &[E],
    ) {
        let Matrix { from, to, from_width, to_width, .. } = self.matrix;
        for (half, matrix) in pair.chunks_exact(self.matrix.padded()).enumerate() {
            let turned = MatMut::new(&mut self.pair[half * from_width..], 2 * from_width);
            transpose(simd, (from, to), MatRef::new(matrix, to_width), turned);
        }
        product(
            simd,
            &forward.prefetch,
            Extent { rows: length, depth: to, columns: 2 * from_width },
            Strided::rows(&self.d_answer, to_width),
            MatRef::new(&self.pair, 2 * from_width),
            MatMut::new(&mut *through, 2 * from_width),
            Onto::Nothing,
        );
        let rows = self.d_reader.chunks_exact_mut(from_width).zip(self.reader.chunks_exact(from_width));
        let rows = rows.zip(through.chunks_exact(2 * from_width)).take(length);
        for (t, ((d_reader, reader), through)) in rows.enumerate() {
            let (weights, momentum) = through.split_at(from_width);
            gradient.weights[t] += dot(simd, reader, weights);
            gradient.momentum[t] += dot(simd, reader, momentum);
            let (a, m) = (mixing.weights[t], mixing.momentum[t]);
            for (d_reader, (weights, momentum)) in d_reader.iter_mut().zip(weights.iter().zip(momentum)) {
                *d_reader = a * *weights + m * *momentum;
            }
        }
        product(
            simd,
            &forward.prefetch,
            Extent { rows: length, depth: length, columns: from_width },
            Strided::rows(d_products, forward.side).lower(),
            MatRef::new(&self.input, from_width),
            MatMut::new(&mut self.d_reader, from_width),
            Onto::Target,
        );
    }

    #[inline(always)]
    fn d_written<S: Simd>(
        &mut self,
        simd: S,
        RoomBack { forward, weighed, found, .. }: &mut RoomBack<E>,
        (mixing, gradient): (&Mixing<E>, &mut MixingGradient<E>),
        length: usize,
        d_pair: &[E],
    ) {
        let (Matrix { from, from_width, to_width, .. }, side) = (self.matrix, forward.side);
        for (found, d_matrix) in found.iter_mut().zip(d_pair.chunks_exact(self.matrix.padded())) {
            product(
                simd,
                &forward.prefetch,
                Extent { rows: length, depth: from, columns: to_width },
                Strided::rows(&self.input, from_width),
                MatRef::new(d_matrix, to_width),
                MatMut::new(found, to_width),
                Onto::Nothing,
            );
        }
        let [in_weights, in_momentum] = mixing.last_rows(length);
        let last = (length - 1) * side;
        for s in 0..length {
            let row = s * to_width..(s + 1) * to_width;
            let [weights, momentum] = [&found[0][row.clone()], &found[1][row.clone()]];
            let written = &self.written[row.clone()];
            gradient.written[last + s] += dot(simd, written, weights);
            gradient.moved[last + s] += dot(simd, written, momentum);
            let (n, e) = (in_weights[s], in_momentum[s]);
            for (d_written, (weights, momentum)) in
                self.d_written[row].iter_mut().zip(weights.iter().zip(momentum))
            {
                *d_written = n * *weights + e * *momentum;
            }
        }
        product(
            simd,
            &forward.prefetch,
            Extent { rows: length, depth: length, columns: to_width },
            Strided::transposed(weighed, side).upper(),
            MatRef::new(&self.d_answer, to_width),
            MatMut::new(&mut self.d_written, to_width),
            Onto::Target,
        );
    }

    #[inline(always)]
    fn d_input<S: Simd>(
        &mut self,
        simd: S,
        RoomBack { forward, d_products, written, .. }: &mut RoomBack<E>,
        mixing: &Mixing<E>,
        length: usize,
        d_pair: &[E],
    ) {
        let Matrix { from, to, from_width, to_width, .. } = self.matrix;
        for (half, d_matrix) in d_pair.chunks_exact(self.matrix.padded()).enumerate() {
            let turned = MatMut::new(&mut self.d_pair[half * to * from_width..], from_width);
            transpose(simd, (from, to), MatRef::new(d_matrix, to_width), turned);
        }
        let [in_weights, in_momentum] = mixing.last_rows(length);
        let rows = written.chunks_exact_mut(2 * to).zip(self.written.chunks_exact(to_width));
        for (s, (both, written)) in rows.take(length).enumerate() {
            let (weights, momentum) = both.split_at_mut(to);
            scaled(weights, written, in_weights[s]);
            scaled(momentum, written, in_momentum[s]);
        }
        product(
            simd,
            &forward.prefetch,
            Extent { rows: length, depth: 2 * to, columns: from_width },
            Strided::rows(written, 2 * to),
            MatRef::new(&self.d_pair, from_width),
            MatMut::new(&mut self.d_input, from_width),
            Onto::Nothing,
        );
        product(
            simd,
            &forward.prefetch,
            Extent { rows: length, depth: length, columns: from_width },
            Strided::transposed(d_products, forward.side).upper(),
            MatRef::new(&self.reader, from_width),
            MatMut::new(&mut self.d_input, from_width),
            Onto::Target,
        );
    }

    /// Takes the gradients of `W` and `S` back over the block.
    #[inline(always)]
    fn d_memory<S: Simd>(
        &mut self,
        simd: S,
        RoomBack { forward, .. }: &mut RoomBack<E>,
        (mixing, gradient): (&Mixing<E>, &mut MixingGradient<E>),
        length: usize,
        pair: &[E],
        d_pair: &mut [E],
    ) {
        let Matrix { from, to_width, .. } = self.matrix;
        let (weights, momentum) = pair.split_at(self.matrix.padded());
        let (d_weights, d_momentum) = d_pair.split_at_mut(self.matrix.padded());
        let after = [(weights, &*d_weights), (momentum, &*d_weights), (momentum, &*d_momentum)];
        gradient.add_after(length, after.map(|(matrix, d_matrix)| dot(simd, matrix, d_matrix)));
        let [kept, added, left] = mixing.after(length);
        for (d_weight, d_momentum) in d_weights.iter_mut().zip(d_momentum) {
            *d_momentum = left * *d_momentum + added * *d_weight;
            *d_weight *= kept;
        }
        forward.mix(&self.matrix, length, &self.reader, mixing);
        product(
            simd,
            &forward.prefetch,
            Extent { rows: 2 * from, depth: length, columns: to_width },
            Strided::transposed(&forward.mixed, 2 * from),
            MatRef::new(&self.d_answer, to_width),
            MatMut::new(d_pair, to_width),
            Onto::Target,
        );
    }
}
