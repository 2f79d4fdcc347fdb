//! Arithmetic of real and of complex numbers.

use crate::kernel::cpu::lanes::Real;
use pulp::Simd;

/// Numbers in `P` parts: vectors of the real parts and, where there are any, of the imaginary ones.
pub(super) trait Numbers<const P: usize>: Copy + Send + Sync {
    /// `a · h + x`.
    fn step<S: Simd, E: Real>(
        simd: S,
        a: [E::Vector<S>; P],
        h: [E::Vector<S>; P],
        x: [E::Vector<S>; P],
    ) -> [E::Vector<S>; P];

    /// `a* · g`, with the conjugate of `a`.
    fn conjugate_times<S: Simd, E: Real>(
        simd: S,
        a: [E::Vector<S>; P],
        g: [E::Vector<S>; P],
    ) -> [E::Vector<S>; P];
}

#[derive(Clone, Copy)]
pub(super) struct RealNumbers;

impl Numbers<1> for RealNumbers {
    #[inline(always)]
    fn step<S: Simd, E: Real>(
        simd: S,
        [a]: [E::Vector<S>; 1],
        [h]: [E::Vector<S>; 1],
        [x]: [E::Vector<S>; 1],
    ) -> [E::Vector<S>; 1] {
        [E::mul_add(simd, a, h, x)]
    }

    #[inline(always)]
    fn conjugate_times<S: Simd, E: Real>(
        simd: S,
        [a]: [E::Vector<S>; 1],
        [g]: [E::Vector<S>; 1],
    ) -> [E::Vector<S>; 1] {
        [E::times(simd, a, g)]
    }
}

#[derive(Clone, Copy)]
pub(super) struct ComplexNumbers;

impl Numbers<2> for ComplexNumbers {
    #[inline(always)]
    fn step<S: Simd, E: Real>(
        simd: S,
        [a, a_im]: [E::Vector<S>; 2],
        [h, h_im]: [E::Vector<S>; 2],
        [x, x_im]: [E::Vector<S>; 2],
    ) -> [E::Vector<S>; 2] {
        let rest = E::minus(simd, x, E::times(simd, a_im, h_im));
        let rest_im = E::mul_add(simd, a_im, h, x_im);
        [E::mul_add(simd, a, h, rest), E::mul_add(simd, a, h_im, rest_im)]
    }

    #[inline(always)]
    fn conjugate_times<S: Simd, E: Real>(
        simd: S,
        [a, a_im]: [E::Vector<S>; 2],
        [g, g_im]: [E::Vector<S>; 2],
    ) -> [E::Vector<S>; 2] {
        let re = E::mul_add(simd, a, g, E::times(simd, a_im, g_im));
        [re, E::minus(simd, E::times(simd, a, g_im), E::times(simd, a_im, g))]
    }
}
