//! The triangle between what tokens find and what they write, by substitution.
//!
//! `N` is a chunk's strictly lower triangle of what keys hold of earlier ones, negated. Going down,
//! `r_i = d_i + Σ_{j<i} N_ij u_j` and `u_i = β_i ⊙ r_i`; going up, `g_i = w_i + Σ_{m>i} N_mi x_m` and `x_i = β_i ⊙ g_i`.
//! Tokens go in groups that stay in registers: first what lies outside the group is added to all its tokens, then every
//! token that is done to those that are not. Value channels never meet, so any range of columns can be solved by itself.

use super::beta::BetaRows;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::matrix_memory::kernel::cpu::chunks::CHUNK;
use pulp::Simd;
use std::ops::Range;

/// Tokens in a group.
pub(crate) const GROUP: usize = 4;

/// Two matrices of one row per token, of `width` padded channels; `columns` of them are worked on.
pub(super) struct Sides<'a, E> {
    /// Right-hand sides before, differences (or gradients of what is written) after.
    pub open: &'a mut [E],
    /// `β` times that.
    pub solved: &'a mut [E],
    pub width: usize,
    pub columns: Range<usize>,
}

/// A chunk's `N` and `β`.
#[derive(Clone, Copy)]
pub(super) struct Triangle<'a, E> {
    /// The tokens of the chunk.
    pub length: usize,
    /// `N`, in rows of [`CHUNK`]; the diagonal and what lies above it is not read.
    pub products: &'a [E],
    pub beta: &'a BetaRows<E>,
}

impl<E: Real> Triangle<'_, E> {
    /// Substitution from the first token to the last.
    #[inline(always)]
    pub fn down<S: Simd>(self, simd: S, prefetch: &Prefetch, sides: Sides<'_, E>) {
        self.solve::<S, true>(simd, prefetch, sides);
    }

    /// Substitution from the last token to the first, with the transpose of the triangle.
    #[inline(always)]
    pub fn up<S: Simd>(self, simd: S, prefetch: &Prefetch, sides: Sides<'_, E>) {
        self.solve::<S, false>(simd, prefetch, sides);
    }

    #[inline(always)]
    fn solve<S: Simd, const DOWN: bool>(self, simd: S, prefetch: &Prefetch, sides: Sides<'_, E>) {
        if S::REGISTER_COUNT >= 32 {
            self.in_groups::<S, DOWN, 4>(simd, prefetch, sides);
        } else {
            self.in_groups::<S, DOWN, 2>(simd, prefetch, sides);
        }
    }

    /// Substitution by groups of tokens, up to `MOST` vectors of columns at a time: 1, 2 or 4.
    #[inline(always)]
    fn in_groups<S: Simd, const DOWN: bool, const MOST: usize>(
        self,
        simd: S,
        prefetch: &Prefetch,
        sides: Sides<'_, E>,
    ) {
        let Self { length, products, beta } = self;
        let Sides { open, solved, width, columns } = sides;
        let vector = lanes::<S, E>();
        assert!(columns.len().is_multiple_of(vector) && columns.end <= width);
        assert!(length * width <= open.len().min(solved.len()) && length * CHUNK <= products.len());
        let system = System::<E, DOWN> {
            length,
            triangle: products.as_ptr(),
            beta,
            open: open.as_mut_ptr(),
            solved: solved.as_mut_ptr(),
            width,
        };
        let groups = length.div_ceil(GROUP);
        for group in 0..groups {
            let start = GROUP * if DOWN { group } else { groups - 1 - group };
            let mut column = columns.start;
            while column < columns.end {
                prefetch.ask();
                // SAFETY: the assertions above bound every index that a group touches.
                let vectors = unsafe {
                    match (columns.end - column) / vector {
                        4.. if MOST >= 4 => system.group::<S, 4>(simd, start, column),
                        2.. if MOST >= 2 => system.group::<S, 2>(simd, start, column),
                        _ => system.group::<S, 1>(simd, start, column),
                    }
                };
                column += vectors * vector;
            }
        }
    }
}

/// A triangle and its sides, which have been checked.
struct System<'a, E, const DOWN: bool> {
    length: usize,
    triangle: *const E,
    beta: &'a BetaRows<E>,
    open: *mut E,
    solved: *mut E,
    width: usize,
}

impl<E: Real, const DOWN: bool> System<'_, E, DOWN> {
    /// `N` vectors of columns of the group that begins at `start`; returns `N`.
    ///
    /// # Safety
    ///
    /// The tokens and columns must lie inside all matrices.
    #[inline(always)]
    unsafe fn group<S: Simd, const N: usize>(&self, simd: S, start: usize, column: usize) -> usize {
        // SAFETY: as the caller promises.
        unsafe {
            match self.length - start {
                1 => self.tokens::<S, 1, N>(simd, start, column),
                2 => self.tokens::<S, 2, N>(simd, start, column),
                3 => self.tokens::<S, 3, N>(simd, start, column),
                _ => self.tokens::<S, GROUP, N>(simd, start, column),
            }
        }
        N
    }

    /// The same of `R` tokens.
    ///
    /// # Safety
    ///
    /// The tokens and columns must lie inside all matrices.
    #[inline(always)]
    unsafe fn tokens<S: Simd, const R: usize, const N: usize>(&self, simd: S, start: usize, column: usize) {
        let width = lanes::<S, E>();
        // SAFETY: as the caller promises; vectors are read and written unaligned.
        unsafe {
            let zero = [E::splat(simd, E::default()); N];
            let load = |from: *const E| {
                let mut row = zero;
                for (n, vector) in row.iter_mut().enumerate() {
                    *vector = from.add(n * width).cast::<E::Vector<S>>().read_unaligned();
                }
                row
            };
            let store = |to: *mut E, row: [E::Vector<S>; N]| {
                for (n, vector) in row.into_iter().enumerate() {
                    to.add(n * width).cast::<E::Vector<S>>().write_unaligned(vector);
                }
            };
            // Adds a token that is done, `from`, to number `i` of the group.
            let (of_group, of_done) = if DOWN { (CHUNK, 1) } else { (1, CHUNK) };
            let triangle = self.triangle.add(start * of_group);
            let add = |sums: &mut [E::Vector<S>; N], i: usize, from: usize, done: [E::Vector<S>; N]| {
                let factor = E::splat(simd, *triangle.add(i * of_group + from * of_done));
                for (sum, done) in sums.iter_mut().zip(done) {
                    *sum = E::mul_add(simd, factor, done, *sum);
                }
            };

            let at = |token: usize| token * self.width + column;
            let mut sums = [zero; R];
            for (i, sums) in sums.iter_mut().enumerate() {
                *sums = load(self.open.add(at(start + i)));
            }
            for from in if DOWN { 0..start } else { start + R..self.length } {
                let done = load(self.solved.add(at(from)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    add(sums, i, from, done);
                }
            }
            for i in 0..R {
                let i = if DOWN { i } else { R - 1 - i };
                store(self.open.add(at(start + i)), sums[i]);
                let mut done = sums[i];
                for (n, done) in done.iter_mut().enumerate() {
                    *done = E::times(simd, self.beta.at(simd, start + i, column + n * width), *done);
                }
                store(self.solved.add(at(start + i)), done);
                // All loops here have constant bounds, so that they unroll and the sums stay in registers.
                for (left, sums) in sums.iter_mut().enumerate() {
                    if (DOWN && left > i) || (!DOWN && left < i) {
                        add(sums, left, start + i, done);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner, numbers};
    use crate::matrix_memory::kernel::cpu::chunks::{Chunk, Place};
    use crate::matrix_memory::kernel::cpu::tokens::{Layout, Tokens};
    use pulp::WithSimd;

    /// Groups of every size and width, whatever the processor would choose.
    struct Check;

    impl WithSimd for Check {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            for length in [1, 2, 3, 4, 7, 17, CHUNK] {
                for each_channel in [false, true] {
                    check::<S, true, 1>(simd, length, each_channel);
                    check::<S, true, 2>(simd, length, each_channel);
                    check::<S, true, 4>(simd, length, each_channel);
                    check::<S, false, 1>(simd, length, each_channel);
                    check::<S, false, 2>(simd, length, each_channel);
                    check::<S, false, 4>(simd, length, each_channel);
                }
            }
        }
    }

    /// Solves seven vectors of columns after one that is left alone, and puts the solution into the equations.
    fn check<S: Simd, const DOWN: bool, const MOST: usize>(simd: S, length: usize, each_channel: bool) {
        let vector = lanes::<S, f64>();
        let (width, columns) = (8 * vector, vector..8 * vector);
        let channels = if each_channel { width } else { 1 };
        let beta = numbers::<f64>(length * channels, 1.0);
        let layout = Layout::new([1, length, 1, channels], 1);
        let tokens = Tokens { numbers: &beta, layout };
        let mut rows = BetaRows::new(tokens, width);
        let chunk = Chunk { start: 0, length, clears: false, slot: 0 };
        rows.load(tokens, Place { batch: 0, head: 0, chunk });
        let mut products = numbers::<f64>(length * CHUNK, 2.0);
        for i in 0..length {
            products[i * CHUNK + i..][..CHUNK - i].fill(f64::NAN); // must not be read
        }
        let before = numbers::<f64>(length * width, 3.0);
        let (mut open, mut solved) = (before.clone(), vec![0.0; length * width]);
        let triangle = Triangle { length, products: &products, beta: &rows };
        let sides = Sides { open: &mut open, solved: &mut solved, width, columns: columns.clone() };
        triangle.in_groups::<S, DOWN, MOST>(simd, &Prefetch::default(), sides);

        for (index, before) in before.into_iter().enumerate() {
            let (i, column) = (index / width, index % width);
            if !columns.contains(&column) {
                assert_eq!((open[index], solved[index]), (before, 0.0));
                continue;
            }
            let done = if DOWN { 0..i } else { i + 1..length };
            let terms = done.map(|j| {
                let (row, place) = if DOWN { (i, j) } else { (j, i) };
                products[row * CHUNK + place] * solved[j * width + column]
            });
            let (found, size) = terms.fold((0.0, 1.0), |(sum, size), term| (sum + term, size + term.abs()));
            let own_beta = beta[if each_channel { index } else { i }];
            let difference: f64 = open[index] - before - found;
            assert!(difference.abs() < 1e-12 * size, "{length} tokens, {MOST} vectors: {difference:e}");
            assert_eq!(solved[index], own_beta * open[index]);
        }
    }

    #[test]
    fn groups_of_every_shape_solve_their_triangle() {
        Here.run(Check);
        Narrow.run(Check);
        Plain.run(Check);
    }
}
