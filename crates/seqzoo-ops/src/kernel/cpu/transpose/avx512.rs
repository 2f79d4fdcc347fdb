//! Tiles of 16 x 16 `f32` in AVX-512 registers.

use std::arch::x86_64::*;

/// Output and columns of a tile.
pub(super) const SIDE: usize = 16;

/// `to[column · to_stride + row] = from[row · from_stride + column]` for one tile.
///
/// # Safety
///
/// Both pointers must be good for a tile with their strides.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn tile(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    let mut rows = [_mm512_setzero_ps(); SIDE];
    for (row, vector) in rows.iter_mut().enumerate() {
        // SAFETY: as the caller promises; loads are unaligned.
        *vector = unsafe { _mm512_loadu_ps(from.add(row * from_stride)) };
    }

    // Pairs of rows, element by element: every 128-bit lane holds two elements of both.
    let mut pairs = rows;
    for row in (0..SIDE).step_by(2) {
        pairs[row] = _mm512_unpacklo_ps(rows[row], rows[row + 1]);
        pairs[row + 1] = _mm512_unpackhi_ps(rows[row], rows[row + 1]);
    }
    // Four rows: lane l of vector 4 r + c holds column 4 l + c of rows 4 r to 4 r + 3.
    let mut fours = pairs;
    for row in (0..SIDE).step_by(4) {
        let as_double = |vector: __m512| _mm512_castps_pd(vector);
        let (a, b) = (as_double(pairs[row]), as_double(pairs[row + 2]));
        let (c, d) = (as_double(pairs[row + 1]), as_double(pairs[row + 3]));
        fours[row] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
        fours[row + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        fours[row + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(c, d));
        fours[row + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(c, d));
    }
    // The lanes themselves, as a matrix of 4 x 4.
    for column in 0..4 {
        let [a, b, c, d] = [fours[column], fours[column + 4], fours[column + 8], fours[column + 12]];
        let (low, high) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d));
        let (low_odd, high_odd) = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d));
        let columns = [
            _mm512_shuffle_f32x4::<0x88>(low, high),
            _mm512_shuffle_f32x4::<0x88>(low_odd, high_odd),
            _mm512_shuffle_f32x4::<0xdd>(low, high),
            _mm512_shuffle_f32x4::<0xdd>(low_odd, high_odd),
        ];
        for (lane, vector) in columns.into_iter().enumerate() {
            // SAFETY: as the caller promises; stores are unaligned.
            unsafe { _mm512_storeu_ps(to.add((4 * lane + column) * to_stride), vector) };
        }
    }
}
