//! Tiles of 8 x 8 `f32` in AVX registers.

use std::arch::x86_64::*;

/// Output and columns of a tile.
pub(super) const SIDE: usize = 8;

/// `to[column · to_stride + row] = from[row · from_stride + column]` for one tile.
///
/// # Safety
///
/// Both pointers must be good for a tile with their strides.
#[inline]
#[target_feature(enable = "avx")]
pub(super) unsafe fn tile(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    for half in [0, 4] {
        // Vector r holds four columns of row r, and after them those of row r + 4.
        let mut rows = [_mm256_setzero_ps(); SIDE / 2];
        for (row, vector) in rows.iter_mut().enumerate() {
            // SAFETY: as the caller promises; loads are unaligned.
            let (low, high) = unsafe {
                let low = from.add(row * from_stride + half);
                (_mm_loadu_ps(low), _mm_loadu_ps(low.add(SIDE / 2 * from_stride)))
            };
            *vector = _mm256_set_m128(high, low);
        }
        let [a, b, c, d] = rows;
        // Pairs of rows, element by element.
        let as_double = |vector: __m256| _mm256_castps_pd(vector);
        let (low, low_next) = (as_double(_mm256_unpacklo_ps(a, b)), as_double(_mm256_unpacklo_ps(c, d)));
        let (high, high_next) = (as_double(_mm256_unpackhi_ps(a, b)), as_double(_mm256_unpackhi_ps(c, d)));
        // Four rows in each half: whole columns.
        let columns = [
            _mm256_unpacklo_pd(low, low_next),
            _mm256_unpackhi_pd(low, low_next),
            _mm256_unpacklo_pd(high, high_next),
            _mm256_unpackhi_pd(high, high_next),
        ];
        for (column, vector) in columns.into_iter().enumerate() {
            // SAFETY: as the caller promises; stores are unaligned.
            unsafe { _mm256_storeu_ps(to.add((half + column) * to_stride), _mm256_castpd_ps(vector)) };
        }
    }
}
