//! Rows of channels, of numbers in `P` parts.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use std::ops::Range;

/// Rows of a tensor `[.., d]`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, E, const P: usize> {
    pub parts: [&'a [E]; P],
    /// From a row to the next; 0 where there is one row for all.
    pub stride: usize,
}

impl<'a, E: Real, const P: usize> Rows<'a, E, P> {
    /// Some channels of a row.
    #[inline(always)]
    pub fn row(&self, index: usize, channels: &Range<usize>) -> [&'a [E]; P] {
        let mut row = self.parts;
        for part in &mut row {
            *part = &part[index * self.stride..][channels.clone()];
        }
        row
    }
}

/// Rows that a pass reads: of a tensor of their own, or of the one that it fills, each before it writes it.
#[derive(Clone, Copy)]
pub(super) enum Source<'a, E, const P: usize> {
    Apart(Rows<'a, E, P>),
    InPlace,
}

/// Rows of a tensor `[.., d]` that a pass fills.
#[derive(Clone, Copy)]
pub(super) struct RowsMut<'a, E, const P: usize> {
    pub parts: [Output<'a, E>; P],
    pub stride: usize,
}

impl<'a, E: Real, const P: usize> RowsMut<'a, E, P> {
    /// Some channels of a row of `source`, which is in place only if these rows held numbers from the start.
    ///
    /// # Safety
    ///
    /// Nobody may write them while the slices live.
    #[inline(always)]
    pub unsafe fn source(
        &self,
        source: &Source<'a, E, P>,
        index: usize,
        channels: &Range<usize>,
    ) -> [&'a [E]; P] {
        let mut row: [&[E]; P] = [&[]; P];
        match source {
            Source::Apart(rows) => row = rows.row(index, channels),
            Source::InPlace => {
                for (part, output) in row.iter_mut().zip(&self.parts) {
                    // SAFETY: as the caller promises.
                    *part = unsafe { output.read(index * self.stride + channels.start, channels.len()) };
                }
            }
        }
        row
    }

    /// Writes some channels of a row.
    ///
    /// # Safety
    ///
    /// No other thread may write or read them meanwhile.
    #[inline(always)]
    pub unsafe fn write(&self, index: usize, channels: &Range<usize>, row: &Row<E, P>) {
        for (output, part) in self.parts.iter().zip(&row.parts) {
            // SAFETY: as the caller promises.
            unsafe { output.write(index * self.stride + channels.start, &part[..channels.len()]) };
        }
    }
}

/// A row that a core works on: it has whole vectors, and what is in them beyond the channels is never read.
pub(super) struct Row<E, const P: usize> {
    parts: [Buffer<E>; P],
}

impl<E: Real, const P: usize> Row<E, P> {
    /// Zeros.
    pub fn new<S: Simd>(_: S, channels: usize) -> Self {
        let length = channels.next_multiple_of(lanes::<S, E>());
        Self { parts: std::array::from_fn(|_| Buffer::new(length)) }
    }

    pub fn copy(&mut self, row: [&[E]; P]) {
        for (part, numbers) in self.parts.iter_mut().zip(row) {
            part[..numbers.len()].copy_from_slice(numbers);
        }
    }

    #[inline(always)]
    pub fn clear(&mut self) {
        for part in &mut self.parts {
            part.fill(E::default());
        }
    }

    /// Adds `other`, and clears it.
    pub fn take(&mut self, other: &mut Self) {
        for (part, other) in self.parts.iter_mut().zip(&mut other.parts) {
            for (number, other) in part.iter_mut().zip(other.iter_mut()) {
                *number += *other;
                *other = E::default();
            }
        }
    }

    #[inline(always)]
    pub fn get<S: Simd>(&self, _: S, index: usize) -> [E::Vector<S>; P] {
        let mut vectors = [E::vectors::<S>(&self.parts[0])[index]; P];
        for (vector, part) in vectors.iter_mut().zip(&self.parts) {
            *vector = E::vectors::<S>(part)[index];
        }
        vectors
    }

    #[inline(always)]
    pub fn set<S: Simd>(&mut self, _: S, index: usize, vectors: [E::Vector<S>; P]) {
        for (part, vector) in self.parts.iter_mut().zip(vectors) {
            E::vectors_mut::<S>(part)[index] = vector;
        }
    }
}

/// The vector `index` of a row: a whole one or, if it is the last and `PARTIAL`, one with zeros beyond the end.
#[inline(always)]
pub(super) fn vector<S: Simd, E: Real, const P: usize, const PARTIAL: bool>(
    simd: S,
    row: [&[E]; P],
    index: usize,
) -> [E::Vector<S>; P] {
    let mut vectors = [part::<S, E, PARTIAL>(simd, row[0], index); P];
    for (vector, numbers) in vectors.iter_mut().zip(row) {
        *vector = part::<S, E, PARTIAL>(simd, numbers, index);
    }
    vectors
}

#[inline(always)]
fn part<S: Simd, E: Real, const PARTIAL: bool>(simd: S, numbers: &[E], index: usize) -> E::Vector<S> {
    if PARTIAL { E::load(simd, &numbers[index * lanes::<S, E>()..]) } else { E::vectors::<S>(numbers)[index] }
}

/// `a + b`.
#[inline(always)]
pub(super) fn plus<S: Simd, E: Real, const P: usize>(
    simd: S,
    mut a: [E::Vector<S>; P],
    b: [E::Vector<S>; P],
) -> [E::Vector<S>; P] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = E::plus(simd, *a, b);
    }
    a
}
