//! The recurrence itself.

use super::kind::{CHUNK, Kind};
use super::token::{factor_at, factor_imaginary};
use crate::scan::kernel::gpu::numbers::{product_im, product_re};
use crate::scan::kernel::gpu::place::{place, token};
use crate::scan::kernel::gpu::reset::cleared;
use cubecl::prelude::*;

/// Forward, with `numbers` the inputs: `h = a h + x`, and the states take the place of the inputs.
///
/// In reverse, with `numbers` the gradients of the states: `g = c + dh`, which takes their place, and `c = a* g`.
///
/// `carried`, `[b, chunks, d]`, holds `h` or `c` before every chunk, and after it when the program ends. One unit per
/// number of `carried`.
#[cube(launch)]
pub(super) fn walk<F: Float>(
    numbers_re: &mut Tensor<F>,
    numbers_im: &mut Tensor<F>,
    factor_re: &Tensor<F>,
    factor_im: &Tensor<F>,
    resets: &Tensor<F>,
    carried_re: &mut Tensor<F>,
    carried_im: &mut Tensor<F>,
    #[comptime] kind: Kind,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let channels = numbers_re.shape(2);
    let chunks = carried_re.shape(1);
    if unit >= carried_re.shape(0) * chunks * channels {
        terminate!();
    }
    let place = place(unit, chunks, numbers_re.shape(1), channels, CHUNK);
    let zero = F::new(0.0_f32);
    let mut h_re = carried_re[unit];
    let mut h_im = zero;
    if comptime!(kind.complex) {
        h_im = carried_im[unit];
    }
    for step in 0..place.chunk.length {
        let token = token(&place.chunk, step, kind.reverse);
        let here = token * channels + place.channel;
        let at = factor_at(here, place.channel, kind);
        let a_re = factor_re[at];
        let a_im = factor_imaginary::<F>(factor_im, at, kind);
        let clears = cleared::<F>(resets, token, kind.resets);
        if comptime!(!kind.reverse) {
            if clears {
                h_re = zero;
                h_im = zero;
            }
            let next = product_re::<F>(a_re, a_im, h_re, h_im, kind.complex) + numbers_re[here];
            if comptime!(kind.complex) {
                h_im = product_im::<F>(a_re, a_im, h_re, h_im, kind.complex) + numbers_im[here];
                numbers_im[here] = h_im;
            }
            h_re = next;
            numbers_re[here] = h_re;
        } else {
            h_re += numbers_re[here];
            numbers_re[here] = h_re;
            if comptime!(kind.complex) {
                h_im += numbers_im[here];
                numbers_im[here] = h_im;
            }
            let next = product_re::<F>(a_re, a_im, h_re, h_im, kind.complex);
            h_im = product_im::<F>(a_re, a_im, h_re, h_im, kind.complex);
            h_re = next;
            if clears {
                h_re = zero;
                h_im = zero;
            }
        }
    }
    carried_re[unit] = h_re;
    if comptime!(kind.complex) {
        carried_im[unit] = h_im;
    }
}
