//! The gradients of the factors.

use super::kind::{CHUNK, Kind};
use crate::scan::kernel::gpu::numbers::{imaginary, product_im, product_re};
use crate::scan::kernel::gpu::place::{place, token};
use crate::scan::kernel::gpu::reset::cleared;
use cubecl::prelude::*;

/// One part of `da_t = g_t h*_{t-1}`, with `g` the gradients of the inputs: the imaginary one with `of_imaginary`. It is 0
/// at a token before which the state is cleared.
///
/// `start` is `[b, 1, d]`, or `[b, 2, d]` with the imaginary part. `out` is `[b, t, d]` or, for a factor that is the same
/// for every token, the sums of the chunks, `[b, chunks, d]`. One unit per chunk and channel.
#[cube(launch)]
pub(super) fn factor_gradient<F: Float>(
    inputs_re: &Tensor<F>,
    inputs_im: &Tensor<F>,
    states_re: &Tensor<F>,
    states_im: &Tensor<F>,
    start: &Tensor<F>,
    resets: &Tensor<F>,
    out: &mut Tensor<F>,
    chunks: usize,
    #[comptime] of_imaginary: bool,
    #[comptime] kind: Kind,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let channels = inputs_re.shape(2);
    if unit >= inputs_re.shape(0) * chunks * channels {
        terminate!();
    }
    let place = place(unit, chunks, inputs_re.shape(1), channels, CHUNK);
    let zero = F::new(0.0_f32);
    let start_at = place.batch * start.shape(1) * channels + place.channel;
    let mut h_re = start[start_at];
    let mut h_im = imaginary::<F>(start, start_at + channels, kind.complex);
    if place.chunk.from > 0 {
        let before = (place.chunk.first - 1) * channels + place.channel;
        h_re = states_re[before];
        h_im = imaginary::<F>(states_im, before, kind.complex);
    }
    let mut sum = zero;
    for step in 0..place.chunk.length {
        let token = token(&place.chunk, step, false);
        let here = token * channels + place.channel;
        let g_re = inputs_re[here];
        let g_im = imaginary::<F>(inputs_im, here, kind.complex);
        let mut gradient = if comptime!(of_imaginary) {
            product_im::<F>(g_re, g_im, h_re, -h_im, kind.complex)
        } else {
            product_re::<F>(g_re, g_im, h_re, -h_im, kind.complex)
        };
        if cleared::<F>(resets, token, kind.resets) {
            gradient = zero;
        }
        if comptime!(kind.shared) {
            sum += gradient;
        } else {
            out[here] = gradient;
        }
        h_re = states_re[here];
        h_im = imaginary::<F>(states_im, here, kind.complex);
    }
    if comptime!(kind.shared) {
        out[unit] = sum;
    }
}
