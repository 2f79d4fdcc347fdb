//! The checked problem that every form solves.

use super::options::LongConvOptions;
use crate::checks;
use crate::precision::{accumulator, to_dtype};
use crate::resets::reset_counts;
use crate::tail::tail;
use burn::tensor::{Bool, DType, Device, Int, Tensor};

/// Arguments after checking, in the accumulator's dtype.
pub(super) struct Problem {
    pub input: Tensor<3>,        // [b, t, d]
    pub filter: Tensor<2>,       // [d, l]
    pub past: Option<Tensor<3>>, // [b, p, d], absent where p = 0
    pub skip: Option<Tensor<1>>, // [d]
    pub resets: Option<Tensor<2, Bool>>,
}

impl Problem {
    #[track_caller]
    pub fn checked(input: Tensor<3>, filter: Tensor<2>, options: LongConvOptions) -> Self {
        let [batch, time, channels] = input.dims();
        let [_, length] = filter.dims();
        checks::not_empty("input", "time", time);
        checks::not_empty("input", "channel", channels);
        checks::not_empty("filter", "tap", length);
        checks::shape("filter", &filter.dims(), &[("D", channels), ("L", length)]);
        if let Some(skip) = &options.skip {
            checks::shape("skip", &skip.dims(), &[("D", channels)]);
        }
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &[("B", batch), ("T", time)]);
        }
        if let Some(state) = &options.initial_state {
            let [_, past, _] = state.dims();
            checks::shape("initial_state", &state.dims(), &[("B", batch), ("P", past), ("D", channels)]);
            assert!(
                past < length,
                "The argument `initial_state` holds {past} inputs, but at most L - 1 = {} are wanted.",
                length - 1
            );
        }
        let wide = accumulator(input.dtype());
        let past = options.initial_state.filter(|state| state.dims()[1] > 0);
        Self {
            input: to_dtype(input, wide),
            filter: to_dtype(filter, wide),
            past: past.map(|past| to_dtype(past, wide)),
            skip: options.skip.map(|skip| to_dtype(skip, wide)),
            resets: options.resets,
        }
    }

    /// Whether there are no sequences, and so nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.input.dims()[0] == 0
    }

    /// Output and kept inputs of no sequences.
    pub fn into_nothing(self) -> (Tensor<3>, Tensor<3>) {
        let [_, time, channels] = self.input.dims();
        let past = self.past.as_ref().map_or(0, |past| past.dims()[1]);
        let kept = (past + time).min(self.filter.dims()[1] - 1);
        let kept = Tensor::zeros([0, kept, channels], (&self.input.device(), self.input.dtype()));
        (self.input, kept)
    }

    /// The problem as one convolution over all inputs that are known.
    pub fn joined(self) -> Joined {
        let Self { input, filter, past, skip, resets } = self;
        let [channels, length] = filter.dims();
        let [_, time, _] = input.dims();
        let entries = match past {
            Some(past) => Tensor::cat(vec![past, input], 1),
            None => input,
        };
        let [_, count, _] = entries.dims();
        let taps = length.min(count);
        let filter = if taps < length { filter.narrow(1, 0, taps) } else { filter };
        let filter = match skip.map(|skip| skip.reshape([channels, 1])) {
            None => filter,
            Some(skip) if taps == 1 => filter + skip,
            Some(skip) => {
                let zeros = Tensor::zeros([channels, taps - 1], (&filter.device(), filter.dtype()));
                filter + Tensor::cat(vec![skip, zeros], 1)
            }
        };
        Joined { entries, filter, time, kept: count.min(length - 1), resets }
    }
}

/// The past and the tokens in one tensor, and a filter that includes the skip and ends where no input is left.
pub(super) struct Joined {
    pub entries: Tensor<3>, // [b, p + t, d]
    pub filter: Tensor<2>,  // [d, min(l, p + t)]
    /// The last entries, which have outputs.
    pub time: usize,
    kept: usize,
    pub resets: Option<Tensor<2, Bool>>,
}

impl Joined {
    /// The segments of all entries, `[b, p + t]`: those of the past belong to segment 0.
    pub fn segments(&self) -> Option<Tensor<2, Int>> {
        let ids = reset_counts(self.resets.clone()?);
        let [batch, count, _] = self.entries.dims();
        if count == self.time {
            return Some(ids);
        }
        let before = Tensor::zeros([batch, count - self.time], (&ids.device(), ids.dtype()));
        Some(Tensor::cat(vec![before, ids], 1))
    }

    /// The inputs that the state keeps, with zeros for those of earlier segments than the last.
    pub fn kept(&self) -> Tensor<3> {
        let [batch, count, channels] = self.entries.dims();
        if self.kept == 0 {
            return nothing(batch, channels, &self.entries.device(), self.entries.dtype());
        }
        let inputs = tail(self.entries.clone(), self.kept);
        match self.segments() {
            None => inputs,
            Some(ids) => {
                let last = ids.clone().narrow(1, count - 1, 1).expand([batch, self.kept]);
                let stale = ids.narrow(1, count - self.kept, self.kept).not_equal(last);
                inputs.mask_fill(stale.unsqueeze_dim::<3>(2).expand([batch, self.kept, channels]), 0.0)
            }
        }
    }
}

/// The kept inputs where there are none.
pub(super) fn nothing(batch: usize, channels: usize, device: &Device, dtype: DType) -> Tensor<3> {
    Tensor::zeros([batch, 0, channels], (device, dtype))
}
