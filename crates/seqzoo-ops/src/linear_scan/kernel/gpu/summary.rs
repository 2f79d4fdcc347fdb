//! What a chunk does to the state, as one step.

use super::kind::{CHUNK, Kind};
use super::token::{factor_at, factor_imaginary};
use crate::scan::kernel::gpu::numbers::{imaginary, product_im, product_re};
use crate::scan::kernel::gpu::place::{place, token};
use crate::scan::kernel::gpu::reset::cleared;
use cubecl::prelude::*;

/// A chunk as one step `h = p h + l`: the product of its factors, and what [`walk`](super::walk) ends with if it begins
/// with zero. `summaries` is `[2, b, chunks, d]`, or `[4, b, chunks, d]` with the imaginary parts after the real ones.
///
/// One unit per chunk and channel.
#[cube(launch)]
pub(super) fn summary<F: Float>(
    numbers_re: &Tensor<F>,
    numbers_im: &Tensor<F>,
    factor_re: &Tensor<F>,
    factor_im: &Tensor<F>,
    resets: &Tensor<F>,
    summaries: &mut Tensor<F>,
    #[comptime] kind: Kind,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let channels = numbers_re.shape(2);
    let chunks = summaries.shape(2);
    let units = summaries.shape(1) * chunks * channels;
    if unit >= units {
        terminate!();
    }
    let place = place(unit, chunks, numbers_re.shape(1), channels, CHUNK);
    let zero = F::new(0.0_f32);
    let mut p_re = F::new(1.0_f32);
    let mut p_im = zero;
    let mut h_re = zero;
    let mut h_im = zero;
    for step in 0..place.chunk.length {
        let token = token(&place.chunk, step, kind.reverse);
        let here = token * channels + place.channel;
        let at = factor_at(here, place.channel, kind);
        let a_re = factor_re[at];
        let a_im = factor_imaginary::<F>(factor_im, at, kind);
        let x_re = numbers_re[here];
        let x_im = imaginary::<F>(numbers_im, here, kind.complex);
        let clears = cleared::<F>(resets, token, kind.resets);
        if comptime!(!kind.reverse) {
            if clears {
                h_re = zero;
                h_im = zero;
            }
        } else {
            h_re += x_re;
            h_im += x_im;
        }
        let next = product_re::<F>(a_re, a_im, h_re, h_im, kind.complex);
        h_im = product_im::<F>(a_re, a_im, h_re, h_im, kind.complex);
        h_re = next;
        let product = product_re::<F>(a_re, a_im, p_re, p_im, kind.complex);
        p_im = product_im::<F>(a_re, a_im, p_re, p_im, kind.complex);
        p_re = product;
        if comptime!(!kind.reverse) {
            h_re += x_re;
            h_im += x_im;
        } else {
            if clears {
                h_re = zero;
                h_im = zero;
            }
        }
        if clears {
            p_re = zero;
            p_im = zero;
        }
    }
    summaries[unit] = p_re;
    summaries[units + unit] = h_re;
    if comptime!(kind.complex) {
        summaries[2 * units + unit] = p_im;
        summaries[3 * units + unit] = h_im;
    }
}
