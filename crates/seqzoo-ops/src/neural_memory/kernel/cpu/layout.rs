//! How the matrices of a memory lie in the buffers of a task: rows of whole vectors.

use super::super::tokens::Layers;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use std::ops::Range;

/// A matrix of a memory: its channels, and the widths of rows that hold as many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    pub from: usize,
    pub to: usize,
    /// The padded width of what goes in.
    pub from_width: usize,
    /// The padded width of what comes out, and of the matrix's own rows.
    pub to_width: usize,
    /// Where it begins among the padded matrices of all layers.
    start: usize,
}

impl Matrix {
    /// Elements in rows of whole vectors.
    pub fn padded(&self) -> usize {
        self.from * self.to_width
    }
}

/// The matrices of a memory. In a buffer stand `W, S` of every layer and then `W*` of every layer, padded; in tensors the
/// same without padding.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub layers: Vec<Matrix>,
    /// Elements of all padded matrices.
    size: usize,
}

impl Layout {
    pub fn new<S: Simd, E: Real>(layers: &Layers) -> Self {
        let lanes = lanes::<S, E>();
        let mut size = 0;
        let layers = layers.extents().map(|(from, to)| {
            let [from_width, to_width] = [from, to].map(|channels| channels.next_multiple_of(lanes));
            let matrix = Matrix { from, to, from_width, to_width, start: size };
            size += matrix.padded();
            matrix
        });
        Self { layers: layers.collect(), size }
    }

    /// The last layer.
    pub fn last(&self) -> &Matrix {
        self.layers.last().expect("a memory has layers")
    }

    /// Elements of a buffer with everything.
    pub fn carry(&self) -> usize {
        3 * self.size
    }

    /// Elements of weights and momentum, which are saved before a block.
    pub fn slot(&self) -> usize {
        2 * self.size
    }

    /// Where weights and momentum of a layer stand.
    pub fn pair(&self, layer: usize) -> Range<usize> {
        let matrix = &self.layers[layer];
        2 * matrix.start..2 * (matrix.start + matrix.padded())
    }

    /// Where the weights of a layer stand.
    pub fn weights(&self, layer: usize) -> Range<usize> {
        let matrix = &self.layers[layer];
        2 * matrix.start..2 * matrix.start + matrix.padded()
    }

    /// Where the weights at the start of the chunk stand.
    pub fn start(&self, layer: usize) -> Range<usize> {
        let matrix = &self.layers[layer];
        let first = 2 * self.size + matrix.start;
        first..first + matrix.padded()
    }

    /// Numbers of a token that are saved: in every layer but the last what comes out of the matrix and the gradient of what
    /// GELU makes of it, both at `W*`, and what the query reads; in the last the difference to the value.
    pub fn saved_width(&self) -> usize {
        let inner = self.layers.len() - 1;
        self.layers[..inner].iter().map(|matrix| 3 * matrix.to_width).sum::<usize>() + self.last().to_width
    }

    /// Numbers of a head in a tensor that holds everything.
    fn numbers(&self) -> usize {
        self.layers.iter().map(|matrix| 3 * matrix.from * matrix.to).sum()
    }

    /// Copies the matrices of head number `head` of the batch out of a tensor into a buffer, both with everything.
    pub fn load<E: Real>(&self, from: &[E], head: usize, buffer: &mut [E]) {
        buffer.fill(E::default());
        let mut at = head * self.numbers();
        self.each_row(|row, width| {
            buffer[row..row + width].copy_from_slice(&from[at..at + width]);
            at += width;
        });
    }

    /// Copies a buffer into the place of head number `head` of the batch in a tensor.
    ///
    /// # Safety
    ///
    /// No other task may store this head.
    pub unsafe fn store<E: Real>(&self, to: Output<'_, E>, head: usize, buffer: &[E]) {
        let mut at = head * self.numbers();
        self.each_row(|row, width| {
            // SAFETY: as the caller promises.
            unsafe { to.write(at, &buffer[row..row + width]) };
            at += width;
        });
    }

    /// Calls `with` for every row of a buffer with everything, in the order of tensors: its start and its channels.
    fn each_row(&self, mut with: impl FnMut(usize, usize)) {
        for layer in 0..self.layers.len() {
            self.rows(layer, self.pair(layer), &mut with);
        }
        for layer in 0..self.layers.len() {
            self.rows(layer, self.start(layer), &mut with);
        }
    }

    /// The rows of matrices of a layer that stand at `place`.
    fn rows(&self, layer: usize, place: Range<usize>, mut with: impl FnMut(usize, usize)) {
        let matrix = &self.layers[layer];
        for row in place.step_by(matrix.to_width) {
            with(row, matrix.to);
        }
    }

    /// Returns a buffer to the weights of head number `head` in `initial`, without momentum.
    pub fn reset<E: Real>(&self, initial: &[E], head: usize, buffer: &mut [E]) {
        let mut at = head * self.numbers() / 3;
        buffer[..self.slot()].fill(E::default());
        for layer in 0..self.layers.len() {
            self.rows(layer, self.weights(layer), |row, width| {
                buffer[row..row + width].copy_from_slice(&initial[at..at + width]);
                at += width;
            });
        }
    }

    /// The way back: adds what comes to the weights after a reset to the gradient of the initial ones, and clears it.
    ///
    /// # Safety
    ///
    /// No other task may use this head.
    pub unsafe fn reset_back<E: Real>(&self, initial: Output<'_, E>, head: usize, buffer: &mut [E]) {
        let mut at = head * self.numbers() / 3;
        for layer in 0..self.layers.len() {
            self.rows(layer, self.weights(layer), |row, width| {
                // SAFETY: as the caller promises.
                unsafe { initial.add(at, &buffer[row..row + width]) };
                at += width;
            });
        }
        buffer[..self.slot()].fill(E::default());
    }

    /// Begins a chunk in a buffer with everything.
    pub fn begin_chunk<E: Real>(&self, buffer: &mut [E]) {
        for layer in 0..self.layers.len() {
            buffer.copy_within(self.weights(layer), self.start(layer).start);
        }
    }

    /// The way back through [`begin_chunk`](Self::begin_chunk): what comes to the start of a chunk comes to the weights there.
    pub fn begin_chunk_back<E: Real>(&self, buffer: &mut [E]) {
        for layer in 0..self.layers.len() {
            let (before, starts) = buffer.split_at_mut(2 * self.size);
            let matrix = &self.layers[layer];
            let start = &mut starts[matrix.start..][..matrix.padded()];
            for (weight, start) in before[self.weights(layer)].iter_mut().zip(&*start) {
                *weight += *start;
            }
            start.fill(E::default());
        }
    }
}
