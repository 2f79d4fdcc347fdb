//! Sums of many numbers, in several partial sums that are vectors.

use super::lanes::{Real, lanes};
use pulp::Simd;

/// Partial sums that do not wait for each other.
const PARTS: usize = 4;

/// The sum of products of two slices of one length.
#[inline(always)]
pub(crate) fn dot<S: Simd, E: Real>(simd: S, a: &[E], b: &[E]) -> E {
    let zero = E::splat(simd, E::default());
    let whole = a.len() / lanes::<S, E>() * lanes::<S, E>();
    let mut rest = E::default();
    for (a, b) in a[whole..].iter().zip(&b[whole..]) {
        rest += *a * *b;
    }
    let (a, a_left) = E::vectors::<S>(a).as_chunks::<PARTS>();
    let (b, b_left) = E::vectors::<S>(b).as_chunks::<PARTS>();
    let mut sums = [zero; PARTS];
    for (a, b) in a.iter().zip(b) {
        for part in 0..PARTS {
            sums[part] = E::mul_add(simd, a[part], b[part], sums[part]);
        }
    }
    for (a, b) in a_left.iter().zip(b_left) {
        sums[0] = E::mul_add(simd, *a, *b, sums[0]);
    }
    rest + sums.into_iter().fold(E::default(), |total, sum| total + E::sum(simd, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Check;

    impl WithSimd for Check {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            for length in [0, 1, 7, 16, 64, 67, 200, 513] {
                let a: Vec<f64> = (0..length).map(|i| f64::from(i) - 3.0).collect();
                let b: Vec<f64> = (0..length).map(|i| f64::from(i % 5)).collect();
                let exact: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
                assert_eq!(dot(simd, &a, &b), exact, "{length} numbers");
            }
        }
    }

    #[test]
    fn products_are_summed_on_every_processor() {
        Arch::new().dispatch(Check);
        Check.with_simd(pulp::Scalar::new());
    }
}
