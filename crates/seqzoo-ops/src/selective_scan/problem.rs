//! The checked problem that every form solves.

use super::options::SelectiveScanOptions;
use crate::checks;
use crate::precision::{accumulator, to_dtype};
use crate::segments::{Segments, Unpacking};
use burn::tensor::{Bool, DType, Tensor, activation::softplus};

/// Arguments after checking, in the accumulator's dtype.
pub(super) struct Problem {
    pub input: Tensor<3>, // u: [b, t, e]
    pub delta: Tensor<3>, // before bias, softplus and limits: [b, t, e]
    pub a: Tensor<2>,     // [e, n]
    pub a_log: bool,      // `a` holds ln(-A)
    pub b: Tensor<4>,     // [b, t, g, n]
    pub c: Tensor<4>,     // [b, t, g, n]
    pub step: StepRule,
    pub d: Option<Tensor<1>>,
    pub z: Option<Tensor<3>>,
    pub state: Tensor<3>, // [b, e, n], or with the number of segments in place of b
    pub resets: Option<Tensor<2, Bool>>,
    pub segments: Option<Segments>,
}

/// How a step is made of `delta`.
pub(super) struct StepRule {
    pub bias: Option<Tensor<1>>, // [e]
    pub softplus: bool,
    pub limits: Option<(f64, f64)>,
}

impl StepRule {
    /// The steps: bias, then softplus, then limits.
    pub fn steps(&self, delta: Tensor<3>) -> Tensor<3> {
        let shifted = match &self.bias {
            Some(bias) => delta + bias.clone().unsqueeze(),
            None => delta,
        };
        let steps = if self.softplus { softplus(shifted, 1.0) } else { shifted };
        match self.limits {
            Some((least, most)) => steps.clamp(least, most),
            None => steps,
        }
    }
}

impl Problem {
    #[track_caller]
    pub fn checked(
        input: Tensor<3>,
        delta: Tensor<3>,
        a: Tensor<2>,
        b: Tensor<4>,
        c: Tensor<4>,
        options: SelectiveScanOptions,
    ) -> Self {
        let [batch, time, channels] = input.dims();
        let [_, size] = a.dims();
        let [_, _, groups, _] = b.dims();
        let wide = accumulator(input.dtype());
        checks::not_empty("input", "time", time);
        checks::not_empty("input", "channel", channels);
        checks::not_empty("a", "state", size);
        let tokens = [("B", batch), ("T", time), ("E", channels)];
        checks::shape("delta", &delta.dims(), &tokens);
        checks::shape("a", &a.dims(), &[("E", channels), ("N", size)]);
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "The argument `b` has {groups} groups, which do not divide the {channels} channels of `input`."
        );
        let shared = [("B", batch), ("T", time), ("G", groups), ("N", size)];
        checks::shape("b", &b.dims(), &shared);
        checks::shape("c", &c.dims(), &shared);
        for (name, vector) in [("delta_bias", &options.delta_bias), ("d", &options.d)] {
            if let Some(vector) = vector {
                checks::shape(name, &vector.dims(), &[("E", channels)]);
            }
        }
        if let Some(z) = &options.z {
            checks::shape("z", &z.dims(), &tokens);
        }
        if let Some(resets) = &options.resets {
            checks::shape("resets", &resets.dims(), &tokens[..2]);
        }
        if let Some((least, most)) = options.delta_limits {
            assert!(
                least <= most,
                "The argument `delta_limits` is ({least}, {most}), but a least and a greatest step are wanted."
            );
        }
        let sequences = match checks::sequences(batch, time, options.segments.as_ref()) {
            ("N", count) => ("segments", count), // `N` is the size of the states here
            rows => rows,
        };
        let state = match options.initial_state {
            Some(state) => {
                checks::shape("initial_state", &state.dims(), &[sequences, ("E", channels), ("N", size)]);
                to_dtype(state, wide)
            }
            None => Tensor::zeros([sequences.1, channels, size], (&input.device(), wide)),
        };
        Self {
            input: to_dtype(input, wide),
            delta: to_dtype(delta, wide),
            a: to_dtype(a, wide),
            a_log: options.a_log,
            b: to_dtype(b, wide),
            c: to_dtype(c, wide),
            step: StepRule {
                bias: options.delta_bias.map(|bias| to_dtype(bias, wide)),
                softplus: options.delta_softplus,
                limits: options.delta_limits,
            },
            d: options.d.map(|skip| to_dtype(skip, wide)),
            z: options.z.map(|gate| to_dtype(gate, wide)),
            state,
            resets: options.resets,
            segments: options.segments,
        }
    }

    /// The same problem with the segments that have tokens as sequences. What pads them has steps of zero, in which a state
    /// stays as it is.
    pub fn unpacked(self, unpacking: &Unpacking) -> Self {
        let (delta, step) = match unpacking.is_even() {
            true => (self.delta, self.step),
            false => (self.step.steps(self.delta), StepRule { bias: None, softplus: false, limits: None }),
        };
        Self {
            input: unpacking.unpack(self.input),
            delta: unpacking.unpack(delta),
            b: unpacking.unpack(self.b),
            c: unpacking.unpack(self.c),
            step,
            z: self.z.map(|gate| unpacking.unpack(gate)),
            state: unpacking.states(self.state),
            resets: self.resets.map(|resets| unpacking.unpack_resets(resets)),
            segments: None,
            ..self
        }
    }

    /// `A`, `[e, n]`.
    pub fn rates(&self) -> Tensor<2> {
        if self.a_log { self.a.clone().exp().neg() } else { self.a.clone() }
    }

    /// Whether there are no sequences, and so nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.input.dims()[0] == 0
    }

    /// The accumulator's dtype.
    pub fn dtype(&self) -> DType {
        self.input.dtype()
    }
}

/// `[b, t, g, n]` as `[b, t, e, n]`: the channels of a group share what it has.
pub(super) fn per_channel(shared: Tensor<4>, channels: usize) -> Tensor<4> {
    let [batch, time, groups, size] = shared.dims();
    let each = channels / groups;
    let wide = shared.reshape([batch, time, groups, 1, size]).expand([batch, time, groups, each, size]);
    wide.reshape([batch, time, channels, size])
}
