//! The whole sequence at once: one shifted product per tap.

use super::Problem;
use crate::resets::reset_counts;
use crate::tail::tail;
use burn::tensor::{Bool, Int, Tensor};

pub(super) fn parallel(problem: Problem) -> (Tensor<3>, Tensor<3>) {
    let Problem { input, weight, bias, state, resets, .. } = problem;
    let [batch, time, channels] = input.dims();
    let width = weight.dims()[1];
    let extended = Tensor::cat(vec![state, input], 1); // [b, w - 1 + t, d]
    let counts = resets.map(|resets| ResetCounts::new(resets, width));

    let mut output = match bias {
        Some(bias) => bias.unsqueeze::<3>().expand([batch, time, channels]),
        None => Tensor::zeros([batch, time, channels], (&extended.device(), extended.dtype())),
    };
    for tap in 0..width {
        let mut shifted = extended.clone().narrow(1, tap, time);
        if let Some(counts) = counts.as_ref().filter(|_| tap + 1 < width) {
            let hidden = counts.differ_from_current(tap, time).unsqueeze_dim::<3>(2);
            shifted = shifted.mask_fill(hidden.expand([batch, time, channels]), 0.0);
        }
        output = output + shifted * weight.clone().narrow(1, tap, 1).reshape([1, 1, channels]);
    }

    let mut state = tail(extended, width - 1);
    if let Some(counts) = counts {
        let stale = counts.differ_from_last(time).unsqueeze_dim::<3>(2);
        state = state.mask_fill(stale.expand([batch, width - 1, channels]), 0.0);
    }
    (output, state)
}

/// The number of resets up to each of the state's entries (0) and of the tokens.
struct ResetCounts {
    counts: Tensor<2, Int>, // [b, w - 1 + t]
    width: usize,
}

impl ResetCounts {
    fn new(resets: Tensor<2, Bool>, width: usize) -> Self {
        let counts = reset_counts(resets);
        let [batch, _] = counts.dims();
        let before = counts.clone().narrow(1, 0, 1).zeros_like().expand([batch, width - 1]);
        Self { counts: Tensor::cat(vec![before, counts], 1), width }
    }

    /// True where a reset lies between the input under `tap` and the current token.
    fn differ_from_current(&self, tap: usize, time: usize) -> Tensor<2, Bool> {
        let current = self.counts.clone().narrow(1, self.width - 1, time);
        self.counts.clone().narrow(1, tap, time).not_equal(current)
    }

    /// True where one of the last `width - 1` inputs lies before the last reset.
    fn differ_from_last(&self, time: usize) -> Tensor<2, Bool> {
        let kept = self.counts.clone().narrow(1, time, self.width - 1);
        let last = self.counts.clone().narrow(1, self.width + time - 2, 1).expand(kept.dims());
        kept.not_equal(last)
    }
}
