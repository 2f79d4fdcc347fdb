//! Code that is compiled for the vectors of a processor.

use pulp::{NullaryFnOnce, Simd, WithSimd};

/// Runs `work` with `simd`, as one function for the processor of that: everything in it that is `#[inline(always)]`
/// becomes part of it.
///
/// A closure does as well if it can be called once only. The standard library calls any other through a function of
/// its own, which need not be inlined, and then all of the work is compiled without vectors.
#[inline(always)]
pub(crate) fn vectorized<S: Simd, W: WithSimd>(simd: S, work: W) -> W::Output {
    struct Whole<S, W>(S, W);
    impl<S: Simd, W: WithSimd> NullaryFnOnce for Whole<S, W> {
        type Output = W::Output;

        #[inline(always)]
        fn call(self) -> W::Output {
            self.1.with_simd(self.0)
        }
    }
    simd.vectorize(Whole(simd, work))
}
