//! The matrices of a product.

use crate::kernel::cpu::matrix::MatRef;

/// The matrix that a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onto<'a, E> {
    /// Nothing: the target is overwritten.
    Nothing,
    /// The target.
    Target,
    /// The target, each row multiplied by its number.
    Scaled(&'a [E]),
}

/// Which side of the diagonal of a matrix holds only zeros, most of which a product skips.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zeros {
    Nowhere,
    Above,
    Below,
}

/// A matrix whose element (i, j) is `numbers[i · rows + j · columns]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strided<'a, E> {
    pub(super) numbers: &'a [E],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) zeros: Zeros,
}

impl<'a, E> Strided<'a, E> {
    /// A matrix in memory.
    pub fn of(matrix: MatRef<'a, E>) -> Self {
        Self::rows(matrix.numbers, matrix.stride)
    }

    /// Rows of `stride` elements.
    pub fn rows(numbers: &'a [E], stride: usize) -> Self {
        Self { numbers, rows: stride, columns: 1, zeros: Zeros::Nowhere }
    }

    /// The transpose of a matrix with rows of `stride` elements.
    pub fn transposed(numbers: &'a [E], stride: usize) -> Self {
        Self { numbers, rows: 1, columns: stride, zeros: Zeros::Nowhere }
    }

    /// The matrix, which holds zeros above its diagonal.
    pub fn lower(self) -> Self {
        Self { zeros: Zeros::Above, ..self }
    }

    /// The matrix, which holds zeros below its diagonal.
    pub fn upper(self) -> Self {
        Self { zeros: Zeros::Below, ..self }
    }
}
