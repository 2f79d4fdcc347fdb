//! Functions of the CPU kernels by themselves, for benchmarks that ask what the machine can do at most.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Numbers that stay in the nearest cache.
const AT_ONCE: usize = 2048;

/// The sum of `2^x` of all whole vectors `x` of `numbers`, on all cores.
pub fn sum_of_exponentials(numbers: &[f32]) -> f32 {
    struct Sum<'a>(&'a [f32]);
    impl WithSimd for Sum<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let mut sums = [f32::splat(simd, 0.0); 4];
            for four in f32::vectors::<S>(self.0).as_chunks::<4>().0 {
                for (sum, x) in sums.iter_mut().zip(four) {
                    *sum = f32::plus(simd, *sum, <f32 as Real>::exp2(simd, *x));
                }
            }
            sums.into_iter().map(|sum| f32::sum(simd, sum)).sum()
        }
    }
    struct All<'a>(&'a [f32]);
    impl WithSimd for All<'_> {
        type Output = f32;
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            self.0.par_chunks(AT_ONCE).with_min_len(16).map(|some| vectorized(simd, Sum(some))).sum()
        }
    }
    Arch::new().dispatch(All(numbers))
}
