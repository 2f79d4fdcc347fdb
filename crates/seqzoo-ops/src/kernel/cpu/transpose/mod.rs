//! Transposition of small matrices.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::lanes::Real;
use pulp::Simd;
use std::ops::Range;

/// `to[column][row] = from[row][column]` for `rows` x `columns` elements; `from` and `to` have rows of
/// `from_stride` and `to_stride` elements.
#[inline(always)]
pub(crate) fn transpose<S: Simd, E: Real>(
    _simd: S,
    (rows, columns): (usize, usize),
    (from, from_stride): (&[E], usize),
    (to, to_stride): (&mut [E], usize),
) {
    #[allow(unused_mut)]
    let mut side = 8;
    #[cfg(target_arch = "x86_64")]
    let wide = {
        use std::any::TypeId;
        let wide =
            TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() && TypeId::of::<E>() == TypeId::of::<f32>();
        if wide {
            side = avx512::SIDE;
        }
        wide
    };
    let (whole_rows, whole_columns) = (rows / side * side, columns / side * side);
    if whole_rows > 0 && whole_columns > 0 {
        assert!((whole_rows - 1) * from_stride + whole_columns <= from.len());
        assert!((whole_columns - 1) * to_stride + whole_rows <= to.len());
    }
    for row in (0..whole_rows).step_by(side) {
        for column in (0..whole_columns).step_by(side) {
            let (from, to) = (&from[row * from_stride + column..], &mut to[column * to_stride + row..]);
            #[cfg(target_arch = "x86_64")]
            if wide {
                // SAFETY: the elements are `f32`, the type of `_simd` proves AVX-512, and the tile is inside both.
                unsafe { avx512::tile(from.as_ptr().cast(), from_stride, to.as_mut_ptr().cast(), to_stride) };
                continue;
            }
            tile::<E, 8>(from, from_stride, to, to_stride);
        }
    }
    let mut rest = |rows: Range<usize>, columns: Range<usize>| {
        for row in rows {
            for column in columns.clone() {
                to[column * to_stride + row] = from[row * from_stride + column];
            }
        }
    };
    rest(0..rows, whole_columns..columns);
    rest(whole_rows..rows, 0..whole_columns);
}

/// A tile of `N` x `N` elements, read and written by whole rows.
#[inline(always)]
fn tile<E: Real, const N: usize>(from: &[E], from_stride: usize, to: &mut [E], to_stride: usize) {
    let mut tile = [[E::default(); N]; N];
    for (i, line) in tile.iter_mut().enumerate() {
        line.copy_from_slice(&from[i * from_stride..][..N]);
    }
    for j in 0..N {
        let line: [E; N] = std::array::from_fn(|i| tile[i][j]);
        to[j * to_stride..][..N].copy_from_slice(&line);
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
                transpose(simd, (rows, columns), (&from, from_stride), (&mut to, to_stride));
                for (column, line) in to.chunks(to_stride).enumerate() {
                    let wanted: Vec<E> = (0..rows).map(|row| from[row * from_stride + column]).collect();
                    assert_eq!(line[..rows], wanted[..], "{rows} x {columns}, column {column}");
                    assert_eq!(line[rows..], [E::default(); 2], "nothing is written behind the rows");
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
