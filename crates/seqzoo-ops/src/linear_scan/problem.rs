//! The checked problem that every form solves.

use super::options::{ComplexFactor, Factor, LinearScanOptions};
use crate::Complex;
use crate::checks;
use crate::precision::{accumulator, to_dtype};
use crate::scan::doubling::Numbers;
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Bool, Tensor};

/// Arguments after checking, in the accumulator's dtype. `S` and `F` are [`Tensor`] or [`Complex`], of three axes.
pub(super) struct Problem<N> {
    pub input: N,  // [b, t, d]
    pub factor: N, // [b, t, d], or [1, 1, d] where it is the same for every token
    pub state: N,  // [b, 1, d], or [n, 1, d] of n segments
    pub resets: Option<Tensor<2, Bool>>,
    pub segments: Option<Segments>,
}

impl Problem<Tensor<3>> {
    #[track_caller]
    pub fn checked(input: Tensor<3>, factor: Factor, options: LinearScanOptions) -> Self {
        let [batch, time, channels] = input.dims();
        let wide = accumulator(input.dtype());
        check_tokens(&input, options.resets.as_ref());
        let sequences = checks::sequences(batch, time, options.segments.as_ref());
        let factor = match factor {
            Factor::PerChannel(factor) => {
                checks::shape("factor", &factor.dims(), &[("D", channels)]);
                factor.reshape([1, 1, channels])
            }
            Factor::PerToken(factor) => {
                checks::shape("factor", &factor.dims(), &[("B", batch), ("T", time), ("D", channels)]);
                factor
            }
        };
        let state = match options.initial_state {
            Some(state) => {
                checks::shape("initial_state", &state.dims(), &[sequences, ("D", channels)]);
                to_dtype(state.unsqueeze_dim(1), wide)
            }
            None => Tensor::zeros([sequences.1, 1, channels], (&input.device(), wide)),
        };
        let LinearScanOptions { resets, segments, .. } = options;
        Self { input: to_dtype(input, wide), factor: to_dtype(factor, wide), state, resets, segments }
    }
}

impl Problem<Complex<3>> {
    #[track_caller]
    pub fn checked(input: Complex<3>, factor: ComplexFactor, options: LinearScanOptions<Complex<2>>) -> Self {
        let [batch, time, channels] = input.dims();
        let wide = accumulator(input.re.dtype());
        check_tokens(&input.re, options.resets.as_ref());
        let sequences = checks::sequences(batch, time, options.segments.as_ref());
        input.check("input", &[("B", batch), ("T", time), ("D", channels)]);
        let factor = match factor {
            ComplexFactor::PerChannel(factor) => {
                factor.check("factor", &[("D", channels)]);
                factor.map(|part| part.reshape([1, 1, channels]))
            }
            ComplexFactor::PerToken(factor) => {
                factor.check("factor", &[("B", batch), ("T", time), ("D", channels)]);
                factor
            }
        };
        let state = match options.initial_state {
            Some(state) => {
                state.check("initial_state", &[sequences, ("D", channels)]);
                state.map(|part| part.unsqueeze_dim(1)).in_dtype(wide)
            }
            None => Complex::zeros([sequences.1, 1, channels], (&input.re.device(), wide)),
        };
        let LinearScanOptions { resets, segments, .. } = options;
        Self { input: input.in_dtype(wide), factor: factor.in_dtype(wide), state, resets, segments }
    }
}

impl<N: Numbers<Part = Tensor<3>>> Problem<N> {
    /// The same problem with the segments that have tokens as sequences. Resets keep what pads them empty, for factors may be
    /// longer than 1.
    pub fn unpacked(self, unpacking: &Unpacking) -> Self {
        let device = self.input.device();
        let shared = self.factor.extent(0) * self.factor.extent(1) == 1;
        Self {
            input: self.input.map_parts(|part| unpacking.unpack(part)),
            factor: if shared { self.factor } else { self.factor.map_parts(|part| unpacking.unpack(part)) },
            state: self.state.map_parts(|part| unpacking.states(part)),
            resets: unpacking.unpack_resets_closing(self.resets, &device),
            segments: None,
        }
    }
}

#[track_caller]
fn check_tokens(input: &Tensor<3>, resets: Option<&Tensor<2, Bool>>) {
    let [batch, time, channels] = input.dims();
    checks::not_empty("input", "time", time);
    checks::not_empty("input", "channel", channels);
    if let Some(resets) = resets {
        checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
    }
}
