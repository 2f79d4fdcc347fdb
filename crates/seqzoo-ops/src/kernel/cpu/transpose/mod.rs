//! Transposition of small matrices.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::lanes::Real;
use super::matrix::{MatMut, MatRef};
use pulp::Simd;
#[cfg(target_arch = "x86_64")]
use std::any::TypeId;
use std::ops::Range;

/// `to[column][row] = from[row][column]` for `rows` x `columns` elements.
#[inline(always)]
pub(crate) fn transpose<S: Simd, E: Real>(
    simd: S,
    (rows, columns): (usize, usize),
    from: MatRef<'_, E>,
    to: MatMut<'_, E>,
) {
    assert!(rows == 0 || columns == 0 || (columns - 1) * to.stride + rows <= to.numbers.len());
    // SAFETY: as just asserted.
    unsafe { transpose_into(simd, (rows, columns), from, to.numbers.as_mut_ptr(), to.stride) };
}

/// The same into memory that may hold nothing yet.
///
/// # Safety
///
/// `to` must be good for `columns` rows of `rows` elements, `to_stride` apart.
#[inline(always)]
pub(crate) unsafe fn transpose_into<S: Simd, E: Real>(
    _simd: S,
    (rows, columns): (usize, usize),
    from: MatRef<'_, E>,
    to: *mut E,
    to_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((rows - 1) * from.stride + columns <= from.numbers.len());
    let (from, from_stride) = (from.numbers.as_ptr(), from.stride);
    let vectors = Vectors::of::<S, E>();
    let side = vectors.side();
    let (whole_rows, whole_columns) = (rows / side * side, columns / side * side);
    for row in (0..whole_rows).step_by(side) {
        for column in (0..whole_columns).step_by(side) {
            // SAFETY: the tile is inside both, as asserted and as the caller promises. Where there are vectors, the
            // elements are `f32`, and the type of `_simd` proves that the processor has them.
            unsafe {
                let (from, to) = (from.add(row * from_stride + column), to.add(column * to_stride + row));
                match vectors {
                    #[cfg(target_arch = "x86_64")]
                    Vectors::Avx512 => avx512::tile(from.cast(), from_stride, to.cast(), to_stride),
                    #[cfg(target_arch = "x86_64")]
                    Vectors::Avx2 => avx2::tile(from.cast(), from_stride, to.cast(), to_stride),
                    Vectors::Any => tile::<E, SIDE>(from, from_stride, to, to_stride),
                }
            }
        }
    }
    let rest = |rows: Range<usize>, columns: Range<usize>| {
        for row in rows {
            for column in columns.clone() {
                // SAFETY: as above.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
            }
        }
    };
    rest(0..rows, whole_columns..columns);
    rest(whole_rows..rows, 0..whole_columns);
}

/// Rows and columns of a tile that knows no vectors.
const SIDE: usize = 8;

/// The code that turns a tile.
#[derive(Clone, Copy)]
enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Any,
}

impl Vectors {
    #[inline(always)]
    fn of<S: Simd, E: Real>() -> Self {
        #[cfg(target_arch = "x86_64")]
        if TypeId::of::<E>() == TypeId::of::<f32>() {
            if TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() {
                return Self::Avx512;
            }
            if TypeId::of::<S>() == TypeId::of::<pulp::x86::V3>() {
                return Self::Avx2;
            }
        }
        Self::Any
    }

    #[inline(always)]
    fn side(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::SIDE,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::SIDE,
            Self::Any => SIDE,
        }
    }
}

/// A tile of `N` x `N` elements, read and written by whole rows.
///
/// # Safety
///
/// Both pointers must be good for a tile with their strides.
#[inline(always)]
unsafe fn tile<E: Real, const N: usize>(from: *const E, from_stride: usize, to: *mut E, to_stride: usize) {
    let mut tile = [[E::default(); N]; N];
    for (i, line) in tile.iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        *line = unsafe { from.add(i * from_stride).cast::<[E; N]>().read() };
    }
    for j in 0..N {
        let mut line = [E::default(); N];
        for (element, row) in line.iter_mut().zip(&tile) {
            *element = row[j];
        }
        // SAFETY: as the caller promises.
        unsafe { to.add(j * to_stride).cast::<[E; N]>().write(line) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Check<E>(std::marker::PhantomData<E>);

    impl<E: Real> WithSimd for Check<E> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            for (rows, columns) in [(1, 1), (8, 8), (16, 16), (15, 33), (32, 64), (64, 17), (40, 24)] {
                let (from_stride, to_stride) = (columns + 3, rows + 2);
                let from: Vec<E> = (0..rows * from_stride).map(|i| E::from_f64(i as f64)).collect();
                let mut to = vec![E::default(); columns * to_stride];
                let (source, target) = (MatRef::new(&from, from_stride), MatMut::new(&mut to, to_stride));
                transpose(simd, (rows, columns), source, target);
                for (column, line) in to.chunks(to_stride).enumerate() {
                    let wanted: Vec<E> = (0..rows).map(|row| from[row * from_stride + column]).collect();
                    assert_eq!(line[..rows], wanted[..], "{rows} x {columns}, column {column}");
                    assert_eq!(line[rows..], [E::default(); 2], "nothing is written after the rows");
                }
            }
        }
    }

    #[test]
    fn rows_become_columns_on_every_processor() {
        Arch::new().dispatch(Check(std::marker::PhantomData::<f32>));
        Arch::new().dispatch(Check(std::marker::PhantomData::<f64>));
        Check(std::marker::PhantomData::<f32>).with_simd(pulp::Scalar::new());
    }
}
