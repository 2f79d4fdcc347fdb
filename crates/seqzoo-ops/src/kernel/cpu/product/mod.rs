//! Products of small matrices that are in cache.

mod operands;
mod tiles;

pub(crate) use operands::{Onto, Strided};

use super::lanes::{Real, lanes};
use super::matrix::{MatMut, MatRef};
use super::prefetch::Prefetch;
use super::vectorized::vectorized;
use pulp::{Simd, WithSimd};
use tiles::Tiles;

/// Rows in a tile, at most, where it is several vectors wide.
pub(crate) const TILE_ROWS: usize = 6;

/// Rows, inner dimension and columns of a product; the columns are whole vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
}

/// `target (rows x columns) = onto + left (rows x depth) · right (depth x columns)`.
///
/// Every element is one chain of `depth` multiply-adds in order, whatever the extent, but for zeros that are skipped:
/// rows can be computed alone or together with the same result. On the way it prefetches.
#[inline(always)]
pub(crate) fn product<S: Simd, E: Real>(
    simd: S,
    prefetch: &Prefetch,
    extent: Extent,
    left: Strided<'_, E>,
    right: MatRef<'_, E>,
    target: MatMut<'_, E>,
    onto: Onto<'_, E>,
) {
    vectorized(simd, Product { prefetch, extent, left, right, target, onto });
}

struct Product<'a, E> {
    prefetch: &'a Prefetch,
    extent: Extent,
    left: Strided<'a, E>,
    right: MatRef<'a, E>,
    target: MatMut<'a, E>,
    onto: Onto<'a, E>,
}

impl<E: Real> WithSimd for Product<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { prefetch, extent, left, right, target, onto } = self;
        let Extent { rows, depth, columns } = extent;
        if rows == 0 || columns == 0 {
            return;
        }
        let width = lanes::<S, E>();
        assert!(columns.is_multiple_of(width) && columns <= target.stride);
        assert!((rows - 1) * target.stride + columns <= target.numbers.len());
        assert!(depth == 0 || (depth - 1) * right.stride + columns <= right.numbers.len());
        assert!(depth == 0 || (rows - 1) * left.rows + (depth - 1) * left.columns < left.numbers.len());
        assert!(!matches!(onto, Onto::Scaled(scales) if scales.len() < rows));

        let tiles = Tiles {
            prefetch,
            depth,
            left,
            right: right.numbers.as_ptr(),
            right_stride: right.stride,
            target: target.numbers.as_mut_ptr(),
            target_stride: target.stride,
            onto,
        };
        let mut column = 0;
        while column < columns {
            let vectors = (columns - column) / width;
            // SAFETY: the assertions above bound every index that the tiles touch.
            unsafe {
                column += if S::REGISTER_COUNT >= 32 && vectors >= 4 {
                    tiles.strip::<S, TILE_ROWS, 4>(simd, rows, column)
                } else if S::REGISTER_COUNT >= 32 && vectors >= 2 {
                    tiles.strip::<S, 8, 2>(simd, rows, column)
                } else if vectors >= 2 {
                    tiles.strip::<S, TILE_ROWS, 2>(simd, rows, column)
                } else {
                    tiles.strip::<S, 8, 1>(simd, rows, column)
                } * width;
            }
        }
    }
}
