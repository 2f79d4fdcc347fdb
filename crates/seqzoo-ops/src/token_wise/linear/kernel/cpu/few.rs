//! A few rows through a matrix, as when a model streams: the matrix is read once, in the order in which it lies, and widened on the
//! way where it is stored in half precision.
//!
//! A matrix that lies in rows is added row by row, as a product of matrices does it: a row through a small matrix has the same bits
//! alone and among many. A large matrix is cut into runs of rows; each makes a sum of its own, and the sums are added in their order,
//! so the bits do not depend on the number of cores. A matrix that lies in columns, as the weights of a tied head do, is a product of
//! two vectors for every output.

use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::large_product::Matrix;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use burn::backend::Element;
use burn::tensor::bf16;
use bytemuck::Pod;
use pulp::{Arch, Simd, WithSimd};

/// Rows up to which this is faster than a product of matrices.
pub(super) const ROWS: usize = 4;

/// Runs of rows of a large matrix that lies in rows.
const RUNS: usize = 16;

/// Elements from which a matrix is large.
const LARGE: usize = 1 << 15;

/// Outputs of a task of a matrix that lies in columns.
const OUTPUTS: usize = 256;

/// Rows of the matrix that are added at once.
const TOGETHER: usize = 4;

/// Products that are summed side by side.
const SIDE_BY_SIDE: usize = 64;

/// How a number of a weight is stored.
pub(super) trait Stored<E>: Element + Pod {
    fn widened(self) -> E;
}

impl Stored<f32> for f32 {
    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }
}

impl Stored<f64> for f64 {
    #[inline(always)]
    fn widened(self) -> f64 {
        self
    }
}

impl Stored<f32> for bf16 {
    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// Whether a matrix lies in rows or in columns.
pub(super) fn lies_in_order<W>(matrix: &Matrix<W>) -> bool {
    matrix.strides.contains(&1)
}

/// Rows of `x` through `weight`, on top of what `bias` has, if anything.
pub(super) fn product<E: Real + Element, W: Stored<E>>(
    x: &[E],
    weight: Matrix<W>,
    bias: Option<&[E]>,
) -> Vec<E> {
    let (inner, outer) = (weight.rows, weight.columns);
    let rows = x.len() / inner;
    let mut output = match bias {
        Some(bias) => bias.repeat(rows),
        None => vec![E::default(); rows * outer],
    };
    if weight.strides[1] == 1 {
        let runs = if inner * outer < LARGE { 1 } else { RUNS.min(inner) };
        let mut sums = vec![E::default(); runs * rows * outer];
        Arch::new().dispatch(InRows { x, weight, rows, runs, sums: &mut sums });
        for sum in sums.chunks_exact(rows * outer) {
            for (output, sum) in output.iter_mut().zip(sum) {
                *output += *sum;
            }
        }
    } else {
        Arch::new().dispatch(InColumns { x, weight, rows, output: &mut output });
    }
    output
}

/// A matrix that lies in rows.
struct InRows<'a, E, W> {
    x: &'a [E],
    weight: Matrix<'a, W>,
    rows: usize,
    runs: usize,
    /// `[runs, rows, outer]`, zeros.
    sums: &'a mut [E],
}

impl<E: Real, W: Stored<E>> WithSimd for InRows<'_, E, W> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, rows, runs, sums } = self;
        let (inner, length) = (weight.rows, sums.len() / runs);
        let sums = Output::of(sums);
        each(
            runs,
            inner * weight.columns,
            || (),
            |(), run| {
                let of = run * inner / runs..(run + 1) * inner / runs;
                // SAFETY: the sums of a run are its task's alone.
                let sums = unsafe { sums.part(run * length, length) };
                vectorized(simd, Run { x, weight, rows, of, sums });
            },
        );
    }
}

/// A run of rows of the matrix.
struct Run<'a, E, W> {
    x: &'a [E],
    weight: Matrix<'a, W>,
    rows: usize,
    of: std::ops::Range<usize>,
    /// `[rows, outer]`.
    sums: &'a mut [E],
}

impl<E: Real, W: Stored<E>> WithSimd for Run<'_, E, W> {
    type Output = ();

    /// Loops over numbers, of which the compiler makes vectors.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, weight, rows, of, sums } = self;
        let (inner, outer) = (weight.rows, weight.columns);
        let line = |row: usize| &weight.numbers[row * weight.strides[0]..][..outer];
        let mut first = of.start;
        while first < of.end {
            if first + TOGETHER <= of.end {
                let [a, b, c, d] = [line(first), line(first + 1), line(first + 2), line(first + 3)];
                for row in 0..rows {
                    let x = &x[row * inner + first..][..TOGETHER];
                    let sum = &mut sums[row * outer..][..outer];
                    for index in 0..outer {
                        let one = x[0].fused::<S>(a[index].widened(), sum[index]);
                        let two = x[1].fused::<S>(b[index].widened(), one);
                        let three = x[2].fused::<S>(c[index].widened(), two);
                        sum[index] = x[3].fused::<S>(d[index].widened(), three);
                    }
                }
                first += TOGETHER;
            } else {
                let a = line(first);
                for row in 0..rows {
                    let x = x[row * inner + first];
                    let sum = &mut sums[row * outer..][..outer];
                    for index in 0..outer {
                        sum[index] = x.fused::<S>(a[index].widened(), sum[index]);
                    }
                }
                first += 1;
            }
        }
    }
}

/// A matrix that lies in columns.
struct InColumns<'a, E, W> {
    x: &'a [E],
    weight: Matrix<'a, W>,
    rows: usize,
    /// `[rows, outer]`.
    output: &'a mut [E],
}

impl<E: Real, W: Stored<E>> WithSimd for InColumns<'_, E, W> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, rows, output } = self;
        let outer = weight.columns;
        let output = Output::of(output);
        each(
            outer.div_ceil(OUTPUTS),
            weight.rows * outer,
            || (),
            |(), task| {
                let of = task * OUTPUTS..outer.min((task + 1) * OUTPUTS);
                for row in 0..rows {
                    let x = &x[row * weight.rows..][..weight.rows];
                    // SAFETY: these outputs are this task's alone.
                    let output = unsafe { output.part(row * outer + of.start, of.len()) };
                    vectorized(simd, Columns { x, weight, first: of.start, output });
                }
            },
        );
    }
}

/// Some columns of the matrix.
struct Columns<'a, E, W> {
    x: &'a [E],
    weight: Matrix<'a, W>,
    first: usize,
    output: &'a mut [E],
}

impl<E: Real, W: Stored<E>> WithSimd for Columns<'_, E, W> {
    type Output = ();

    /// Loops over numbers, of which the compiler makes vectors.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, weight, first, output } = self;
        for (index, output) in output.iter_mut().enumerate() {
            let column = &weight.numbers[(first + index) * weight.strides[1]..][..x.len()];
            let (many, rest) = x.as_chunks::<SIDE_BY_SIDE>();
            let (of_many, of_rest) = column.as_chunks::<SIDE_BY_SIDE>();
            let mut sums = [E::default(); SIDE_BY_SIDE];
            for (x, w) in many.iter().zip(of_many) {
                for lane in 0..SIDE_BY_SIDE {
                    sums[lane] += x[lane] * w[lane].widened();
                }
            }
            let mut sum = *output;
            for lane in sums {
                sum += lane;
            }
            for lane in 0..rest.len() {
                sum += rest[lane] * of_rest[lane].widened();
            }
            *output = sum;
        }
    }
}
