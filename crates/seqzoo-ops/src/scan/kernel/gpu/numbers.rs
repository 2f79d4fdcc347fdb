//! Arithmetic of numbers in two parts. Of real numbers the imaginary part is nothing, and costs nothing.

use cubecl::prelude::*;

/// The real part of `a h`.
#[cube]
pub(crate) fn product_re<F: Float>(a_re: F, a_im: F, h_re: F, h_im: F, #[comptime] complex: bool) -> F {
    let mut product = a_re * h_re;
    if comptime!(complex) {
        product -= a_im * h_im;
    }
    product
}

/// The imaginary part of `a h`.
#[cube]
pub(crate) fn product_im<F: Float>(a_re: F, a_im: F, h_re: F, h_im: F, #[comptime] complex: bool) -> F {
    let mut product = F::new(0.0_f32);
    if comptime!(complex) {
        product = a_re * h_im + a_im * h_re;
    }
    product
}

/// The imaginary part at `index`.
#[cube]
pub(crate) fn imaginary<F: Float>(part: &Tensor<F>, index: usize, #[comptime] complex: bool) -> F {
    let mut number = F::new(0.0_f32);
    if comptime!(complex) {
        number = part[index];
    }
    number
}
