//! The recurrence over chunks.

use super::numbers::{imaginary, product_im, product_re};
use cubecl::prelude::*;

/// What is carried into every chunk, `[b, chunks, d]`, if a chunk is the step `h = p h + l`. `summaries`,
/// `[2, b, chunks, d]`, holds `p` and `l`, or `[4, b, chunks, d]` with the imaginary parts after them. `carried` is what
/// the first chunk is given, and then what the last one leaves, `[b, 1, d]`. In reverse, the last chunk is the first.
///
/// One unit per sequence and channel.
#[cube(launch)]
pub(super) fn across<F: Float>(
    summaries: &Tensor<F>,
    carried_re: &mut Tensor<F>,
    carried_im: &mut Tensor<F>,
    before_re: &mut Tensor<F>,
    before_im: &mut Tensor<F>,
    #[comptime] complex: bool,
    #[comptime] reverse: bool,
    #[define(F)] _dtype: ElemType,
) {
    let unit = ABSOLUTE_POS;
    let chunks = before_re.shape(1);
    let channels = before_re.shape(2);
    if unit >= before_re.shape(0) * channels {
        terminate!();
    }
    let units = before_re.shape(0) * chunks * channels;
    let zero = F::new(0.0_f32);
    let mut h_re = carried_re[unit];
    let mut h_im = zero;
    if comptime!(complex) {
        h_im = carried_im[unit];
    }
    for step in 0..chunks {
        let mut chunk = step;
        if comptime!(reverse) {
            chunk = chunks - 1 - step;
        }
        let at = (unit / channels * chunks + chunk) * channels + unit % channels;
        before_re[at] = h_re;
        if comptime!(complex) {
            before_im[at] = h_im;
        }
        let p_re = summaries[at];
        let p_im = imaginary::<F>(summaries, 2 * units + at, complex);
        let mut next_re = summaries[units + at];
        let mut next_im = imaginary::<F>(summaries, 3 * units + at, complex);
        // A product would not clear a state that is infinite.
        if p_re != zero || p_im != zero {
            next_re += product_re::<F>(p_re, p_im, h_re, h_im, complex);
            next_im += product_im::<F>(p_re, p_im, h_re, h_im, complex);
        }
        h_re = next_re;
        h_im = next_im;
    }
    carried_re[unit] = h_re;
    if comptime!(complex) {
        carried_im[unit] = h_im;
    }
}
