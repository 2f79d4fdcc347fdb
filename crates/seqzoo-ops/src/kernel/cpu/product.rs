//! Products of small matrices that are in cache.

use super::ahead::Ahead;
use super::lanes::{Real, lanes};
use pulp::Simd;

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onto<'a, E> {
    /// Nothing: the target is overwritten.
    Nothing,
    /// What the target holds.
    Target,
    /// What the target holds, each row multiplied by its number.
    Scaled(&'a [E]),
}

/// A matrix whose element (i, j) is `numbers[i · rows + j · columns]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a, E> {
    pub numbers: &'a [E],
    pub rows: usize,
    pub columns: usize,
}

impl<'a, E> Strided<'a, E> {
    /// Rows of `stride` elements.
    pub fn rows(numbers: &'a [E], stride: usize) -> Self {
        Self { numbers, rows: stride, columns: 1 }
    }

    /// The transpose of a matrix with rows of `stride` elements.
    pub fn transposed(numbers: &'a [E], stride: usize) -> Self {
        Self { numbers, rows: 1, columns: stride }
    }
}

/// Rows, inner dimension and columns of a product; the columns are whole vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
}

/// `target (rows x columns) = onto + left (rows x depth) · right (depth x columns)`, where `right` and
/// `target` have rows of `right_stride` and `target_stride` elements.
///
/// Every element is one chain of `depth` multiply-adds in order, whatever the extent: rows can be
/// computed alone or together with the same result. On the way it asks for lines of `ahead`.
#[allow(clippy::too_many_arguments, reason = "three matrices, what to do with them, and what comes next")]
#[inline(always)]
pub(crate) fn product<S: Simd, E: Real>(
    simd: S,
    ahead: &Ahead,
    extent: Extent,
    left: Strided<'_, E>,
    (right, right_stride): (&[E], usize),
    (target, target_stride): (&mut [E], usize),
    onto: Onto<'_, E>,
) {
    struct Call<'a, E> {
        ahead: &'a Ahead,
        extent: Extent,
        left: Strided<'a, E>,
        right: (&'a [E], usize),
        target: (&'a mut [E], usize),
        onto: Onto<'a, E>,
    }
    impl<E: Real> pulp::WithSimd for Call<'_, E> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            run(simd, self.ahead, self.extent, self.left, self.right, self.target, self.onto);
        }
    }
    struct Wrapped<S, E>(S, E);
    impl<S: Simd, O: pulp::WithSimd<Output = ()>> pulp::NullaryFnOnce for Wrapped<S, O> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            self.1.with_simd(self.0);
        }
    }
    let call =
        Call { ahead, extent, left, right: (right, right_stride), target: (target, target_stride), onto };
    simd.vectorize(Wrapped(simd, call));
}

#[inline(always)]
fn run<S: Simd, E: Real>(
    simd: S,
    ahead: &Ahead,
    extent: Extent,
    left: Strided<'_, E>,
    (right, right_stride): (&[E], usize),
    (target, target_stride): (&mut [E], usize),
    onto: Onto<'_, E>,
) {
    let Extent { rows, depth, columns } = extent;
    if rows == 0 || columns == 0 {
        return;
    }
    let width = lanes::<S, E>();
    assert!(columns.is_multiple_of(width) && columns <= target_stride);
    assert!((rows - 1) * target_stride + columns <= target.len());
    assert!(depth == 0 || (depth - 1) * right_stride + columns <= right.len());
    assert!(depth == 0 || (rows - 1) * left.rows + (depth - 1) * left.columns < left.numbers.len());
    assert!(!matches!(onto, Onto::Scaled(scales) if scales.len() < rows));

    let mut job = Tiles {
        ahead,
        depth,
        left: left.numbers.as_ptr(),
        left_strides: (left.rows, left.columns),
        right: right.as_ptr(),
        right_stride,
        target: target.as_mut_ptr(),
        target_stride,
        onto,
    };
    let mut column = 0;
    while column < columns {
        let vectors = (columns - column) / width;
        // SAFETY: the assertions above bound every index that the tiles touch.
        unsafe {
            column += if S::REGISTER_COUNT >= 32 && vectors >= 4 {
                job.strip::<S, 6, 4>(simd, rows, column)
            } else if S::REGISTER_COUNT >= 32 && vectors >= 2 {
                job.strip::<S, 8, 2>(simd, rows, column)
            } else if vectors >= 2 {
                job.strip::<S, 4, 2>(simd, rows, column)
            } else {
                job.strip::<S, 8, 1>(simd, rows, column)
            } * width;
        }
    }
}

/// The pointers and strides of a product that has been checked.
struct Tiles<'a, E> {
    ahead: &'a Ahead,
    depth: usize,
    left: *const E,
    left_strides: (usize, usize),
    right: *const E,
    right_stride: usize,
    target: *mut E,
    target_stride: usize,
    onto: Onto<'a, E>,
}

impl<E: Real> Tiles<'_, E> {
    /// All rows of `N` vectors of columns, `R` rows at a time; returns `N`.
    ///
    /// # Safety
    ///
    /// The rows and columns must lie inside all three matrices.
    #[inline(always)]
    unsafe fn strip<S: Simd, const R: usize, const N: usize>(
        &mut self,
        simd: S,
        rows: usize,
        column: usize,
    ) -> usize {
        let mut row = 0;
        // SAFETY: as the caller promises.
        unsafe {
            while row + R <= rows {
                self.tile::<S, R, N>(simd, row, column);
                row += R;
            }
            if R > 4 && row + 4 <= rows {
                self.tile::<S, 4, N>(simd, row, column);
                row += 4;
            }
            if row + 2 <= rows {
                self.tile::<S, 2, N>(simd, row, column);
                row += 2;
            }
            while row < rows {
                self.tile::<S, 1, N>(simd, row, column);
                row += 1;
            }
        }
        N
    }

    /// `R` rows of `N` vectors of columns, in registers.
    ///
    /// # Safety
    ///
    /// The rows and columns must lie inside all three matrices.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const N: usize>(&mut self, simd: S, row: usize, column: usize) {
        self.ahead.ask();
        let width = lanes::<S, E>();
        let (left_row, left_column) = self.left_strides;
        // SAFETY: as the caller promises; vectors are read and written unaligned.
        unsafe {
            let load = |from: *const E, vector: usize| {
                from.add(vector * width).cast::<E::Vector<S>>().read_unaligned()
            };
            let zero = E::splat(simd, E::default());
            let mut sums = [[zero; N]; R];
            if !matches!(self.onto, Onto::Nothing) {
                for (i, sums) in sums.iter_mut().enumerate() {
                    let from = self.target.add((row + i) * self.target_stride + column);
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
            let left = self.left.add(row * left_row);
            let right = self.right.add(column);
            for step in 0..self.depth {
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
                let to = self.target.add((row + i) * self.target_stride + column);
                for (j, sum) in sums.iter().enumerate() {
                    to.add(j * width).cast::<E::Vector<S>>().write_unaligned(*sum);
                }
            }
        }
    }
}
