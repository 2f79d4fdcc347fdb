//! Direct sums.

use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;

/// Vectors of sums that are made together.
const VECTORS: usize = 6;

/// `sums[i] += Σ_k taps[k] · numbers[i + k]`; there are at least `taps + sums - 1` numbers.
#[inline(always)]
pub(super) fn correlate<S: Simd, E: Real>(simd: S, taps: &[E], numbers: &[E], sums: &mut [E]) {
    assert!(numbers.len() + 1 >= taps.len() + sums.len());
    let count = sums.len();
    let lanes = lanes::<S, E>();
    let mut done = 0;
    // A single vector does not pay where the sums are few and the taps many.
    while lanes > 1 && done + VECTORS * lanes <= count {
        several::<S, E, VECTORS>(simd, taps, &numbers[done..], &mut sums[done..]);
        done += VECTORS * lanes;
    }
    while lanes > 1 && done + lanes <= count {
        several::<S, E, 1>(simd, taps, &numbers[done..], &mut sums[done..]);
        done += lanes;
    }
    for (i, sum) in sums.iter_mut().enumerate().skip(done) {
        *sum += dot(simd, taps, &numbers[i..][..taps.len()]);
    }
}

/// The first `N` vectors of sums.
#[inline(always)]
fn several<S: Simd, E: Real, const N: usize>(simd: S, taps: &[E], numbers: &[E], sums: &mut [E]) {
    let width = N * lanes::<S, E>();
    let mut totals = [E::splat(simd, E::default()); N];
    for (k, tap) in taps.iter().enumerate() {
        let tap = E::splat(simd, *tap);
        let numbers = E::vectors::<S>(&numbers[k..][..width]);
        for (total, numbers) in totals.iter_mut().zip(numbers) {
            *total = E::mul_add(simd, tap, *numbers, *total);
        }
    }
    for (sum, total) in E::vectors_mut::<S>(&mut sums[..width]).iter_mut().zip(totals) {
        *sum = E::plus(simd, *sum, total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Check;

    impl WithSimd for Check {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            for (taps, sums) in [(1, 1), (5, 3), (3, 40), (64, 17), (7, 200), (1, 129), (300, 1)] {
                let number = |i: usize| ((i * i) % 11) as f64 - 5.0;
                let filter: Vec<f64> = (0..taps).map(|k| number(k + 3)).collect();
                let numbers: Vec<f64> = (0..taps + sums - 1).map(number).collect();
                let mut found = vec![1.0; sums];
                correlate(simd, &filter, &numbers, &mut found);
                for (i, found) in found.into_iter().enumerate() {
                    let exact: f64 = (0..taps).map(|k| filter[k] * numbers[i + k]).sum();
                    assert_eq!(found, 1.0 + exact, "{taps} taps, sum {i} of {sums}");
                }
            }
        }
    }

    #[test]
    fn sums_are_exact_on_every_processor() {
        Arch::new().dispatch(Check);
        Check.with_simd(pulp::Scalar::new());
    }
}
