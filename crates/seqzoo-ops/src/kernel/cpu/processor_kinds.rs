//! Every kind of processor that this one can stand in for, to test kernels on.

use super::lanes::Real;
use pulp::{Arch, Scalar, WithSimd};

/// Numbers between -1 and 1 that look random.
pub(crate) fn numbers<E: Real>(count: usize, seed: f64) -> Vec<E> {
    (0..count).map(|i| E::from_f64(((i as f64 + seed) * 12.9898).sin())).collect()
}

/// Room that holds `numbers`.
pub(crate) fn room_of<E: Real>(numbers: Vec<E>) -> Box<[std::mem::MaybeUninit<E>]> {
    numbers.into_iter().map(std::mem::MaybeUninit::new).collect()
}

/// A way to run vector code.
pub(crate) trait Runner: Copy {
    fn run(self, work: impl WithSimd<Output = ()>);
}

/// As this processor is.
#[derive(Clone, Copy)]
pub(crate) struct Here;

impl Runner for Here {
    fn run(self, work: impl WithSimd<Output = ()>) {
        Arch::new().dispatch(work);
    }
}

/// Without vectors.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Runner for Plain {
    fn run(self, work: impl WithSimd<Output = ()>) {
        work.with_simd(Scalar::new());
    }
}

/// With the vectors of processors before AVX-512, where they are to be had.
#[derive(Clone, Copy)]
pub(crate) struct Narrow;

impl Runner for Narrow {
    fn run(self, work: impl WithSimd<Output = ()>) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return Arch::V3(simd).dispatch(work);
        }
        Plain.run(work);
    }
}
