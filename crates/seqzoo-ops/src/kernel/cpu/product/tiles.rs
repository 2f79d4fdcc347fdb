//! A product in tiles that stay in registers.

use super::operands::{Onto, Strided, Zeros};
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::prefetch::Prefetch;
use pulp::Simd;

/// A product that has been checked.
pub(super) struct Tiles<'a, E> {
    pub prefetch: &'a Prefetch,
    pub depth: usize,
    pub left: Strided<'a, E>,
    pub right: *const E,
    pub right_stride: usize,
    pub target: *mut E,
    pub target_stride: usize,
    pub onto: Onto<'a, E>,
}

impl<E: Real> Tiles<'_, E> {
    /// All rows of `N` vectors of columns, in as few tiles of up to `MOST` rows as there can be, of heights that
    /// differ by at most 1; returns `N`.
    ///
    /// # Safety
    ///
    /// The rows and columns must lie inside all three matrices.
    #[inline(always)]
    pub unsafe fn strip<S: Simd, const MOST: usize, const N: usize>(
        &self,
        simd: S,
        rows: usize,
        column: usize,
    ) -> usize {
        let tiles = rows.div_ceil(MOST);
        let (least, higher) = (rows / tiles, rows % tiles);
        let mut row = 0;
        for tile in 0..tiles {
            let height = least + usize::from(tile < higher);
            // SAFETY: as the caller promises.
            unsafe {
                match height {
                    1 => self.tile::<S, 1, N>(simd, row, column),
                    2 => self.tile::<S, 2, N>(simd, row, column),
                    3 => self.tile::<S, 3, N>(simd, row, column),
                    4 => self.tile::<S, 4, N>(simd, row, column),
                    5 => self.tile::<S, 5, N>(simd, row, column),
                    6 => self.tile::<S, 6, N>(simd, row, column),
                    7 if MOST > 6 => self.tile::<S, 7, N>(simd, row, column),
                    _ if MOST > 6 => self.tile::<S, 8, N>(simd, row, column),
                    _ => unreachable!("a tile has at most 6 rows"),
                }
            }
            row += height;
        }
        N
    }

    /// `R` rows of `N` vectors of columns, in registers.
    ///
    /// # Safety
    ///
    /// The rows and columns must lie inside all three matrices.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const N: usize>(&self, simd: S, row: usize, column: usize) {
        self.prefetch.ask();
        let width = lanes::<S, E>();
        let Strided { numbers, rows: left_row, columns: left_column, zeros } = self.left;
        let steps = match zeros {
            Zeros::Nowhere => 0..self.depth,
            Zeros::Above => 0..self.depth.min(row + R),
            Zeros::Below => row.min(self.depth)..self.depth,
        };
        // SAFETY: as the caller promises; vectors are read and written unaligned.
        unsafe {
            let load = |from: *const E, vector: usize| {
                from.add(vector * width).cast::<E::Vector<S>>().read_unaligned()
            };
            let zero = E::splat(simd, E::default());
            let target = self.target.add(row * self.target_stride + column);
            let mut sums = [[zero; N]; R];
            if !matches!(self.onto, Onto::Nothing) {
                for (i, sums) in sums.iter_mut().enumerate() {
                    let from = target.add(i * self.target_stride);
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = load(from, j);
                    }
                    if let Onto::Scaled(scales) = self.onto {
                        let scale = E::splat(simd, *scales.get_unchecked(row + i));
                        for sum in sums.iter_mut() {
                            *sum = E::times(simd, scale, *sum);
                        }
                    }
                }
            }
            let left = numbers.as_ptr().add(row * left_row);
            let right = self.right.add(column);
            for step in steps {
                let from = right.add(step * self.right_stride);
                let mut vectors = [zero; N];
                for (j, vector) in vectors.iter_mut().enumerate() {
                    *vector = load(from, j);
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let factor = E::splat(simd, *left.add(i * left_row + step * left_column));
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = E::mul_add(simd, factor, vectors[j], *sum);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                let to = target.add(i * self.target_stride);
                for (j, sum) in sums.iter().enumerate() {
                    to.add(j * width).cast::<E::Vector<S>>().write_unaligned(*sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner, numbers};
    use pulp::WithSimd;

    /// All shapes of tiles, whatever the processor would choose.
    struct Check;

    impl WithSimd for Check {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            for rows in [1, 2, 5, 7, 8, 9, 16, 32] {
                for zeros in [Zeros::Nowhere, Zeros::Above, Zeros::Below] {
                    check::<S, 6, 4>(simd, rows, zeros);
                    check::<S, 8, 2>(simd, rows, zeros);
                    check::<S, 6, 2>(simd, rows, zeros);
                    check::<S, 8, 1>(simd, rows, zeros);
                }
            }
        }
    }

    fn check<S: Simd, const MOST: usize, const N: usize>(simd: S, rows: usize, zeros: Zeros) {
        let (depth, columns) = (rows, N * lanes::<S, f64>());
        let (left, right) = (numbers::<f64>(rows * depth, 1.0), numbers::<f64>(depth * columns, 2.0));
        let is_zero = |i: usize, j: usize| match zeros {
            Zeros::Nowhere => false,
            Zeros::Above => j > i,
            Zeros::Below => j < i,
        };
        let at = |i: usize, j: usize| if is_zero(i, j) { 0.0 } else { left[i * depth + j] };
        let left: Vec<f64> = (0..rows * depth).map(|index| at(index / depth, index % depth)).collect();
        let before = numbers::<f64>(rows * columns, 3.0);
        let scales = numbers::<f64>(rows, 4.0);
        let prefetch = Prefetch::default();
        for (onto, kept) in [(Onto::Nothing, 0), (Onto::Target, 1), (Onto::Scaled(&scales), 2)] {
            let mut target = before.clone();
            let tiles = Tiles {
                prefetch: &prefetch,
                depth,
                left: Strided { zeros, ..Strided::rows(&left, depth) },
                right: right.as_ptr(),
                right_stride: columns,
                target: target.as_mut_ptr(),
                target_stride: columns,
                onto,
            };
            // SAFETY: the matrices have these rows and columns.
            unsafe { tiles.strip::<S, MOST, N>(simd, rows, 0) };
            for (index, number) in target.into_iter().enumerate() {
                let (i, j) = (index / columns, index % columns);
                let kept = [0.0, before[index], scales[i] * before[index]][kept];
                let exact: f64 = (0..depth).map(|d| left[i * depth + d] * right[d * columns + j]).sum();
                assert!((number - exact - kept).abs() < 1e-12, "{rows} rows, {zeros:?}, {onto:?}");
            }
        }
    }

    #[test]
    fn tiles_of_every_shape_multiply() {
        Here.run(Check);
        Narrow.run(Check);
        Plain.run(Check);
    }
}
