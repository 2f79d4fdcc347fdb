//! Sums of many numbers, in parts so that they can be vector code.

use super::lanes::Real;

/// The sum of products, in sixteen partial sums.
#[inline(always)]
pub(crate) fn dot<E: Real>(a: &[E], b: &[E]) -> E {
    const PARTS: usize = 16;
    let mut sums = [E::default(); PARTS];
    let (wholes_a, wholes_b) = (a.chunks_exact(PARTS), b.chunks_exact(PARTS));
    let mut rest = E::default();
    for (a, b) in wholes_a.remainder().iter().zip(wholes_b.remainder()) {
        rest += *a * *b;
    }
    for (a, b) in wholes_a.zip(wholes_b) {
        for part in 0..PARTS {
            sums[part] += a[part] * b[part];
        }
    }
    rest + total(&sums)
}

/// The sum of all numbers, halves onto halves.
#[inline(always)]
pub(crate) fn total<E: Real, const N: usize>(numbers: &[E; N]) -> E {
    let mut sums = *numbers;
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            let other = sums[i + half];
            sums[i] += other;
        }
        half /= 2;
    }
    sums[0]
}
