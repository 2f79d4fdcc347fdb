//! Hyena: long convolutions with implicit filters, between gates.

use crate::config::{check_channels, check_numbers};
use crate::ops::causal_conv::long::{LongConvOptions, long_conv, long_conv_report};
use crate::ops::{Report, accumulator};
use crate::parts::{
    ImplicitFilter, ImplicitFilterOptions, ProjectionInit, ShortConv, ShortConvConfig, biased_projection,
    project,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(Hyena, "hyena", HyenaConfig);

/// Configuration of [`Hyena`].
#[derive(Config, Debug)]
pub struct HyenaConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Gates; there is one long convolution less. Default: `2`.
    #[config(default = 2)]
    pub order: usize,
    /// Taps of the long filters: how many tokens an output sees, itself included. Positions are relative to it, so a
    /// trained layer keeps it. Default: `1024`.
    #[config(default = 1024)]
    pub max_len: usize,
    /// Hidden channels of the network that makes the filters. Default: `64`.
    #[config(default = 64)]
    pub filter_order: usize,
    /// Channels of the positions that it reads, odd and at least 3. Default: `3`.
    #[config(default = 3)]
    pub emb_dim: usize,
    /// Its layers between the first and the last. Default: `2`.
    #[config(default = 2)]
    pub num_inner_mlps: usize,
    /// The initial frequency of its sines. Default: `1.0`.
    #[config(default = 1.0)]
    pub w: f64,
    /// The share of a filter within which the fastest window falls to the target. Default: `0.3`.
    #[config(default = 0.3)]
    pub fast_decay_pct: f64,
    /// The same of the slowest window. Default: `1.5`.
    #[config(default = 1.5)]
    pub slow_decay_pct: f64,
    /// What the windows fall to, between 0 and 1. Default: `1e-2`.
    #[config(default = 1e-2)]
    pub target: f64,
    /// Added to all windows. Default: `0.0`.
    #[config(default = 0.0)]
    pub shift: f64,
    /// Taps of the short convolution after the projection, at least 2. Default: `3`.
    #[config(default = 3)]
    pub short_filter_order: usize,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl HyenaConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, the order is less than 2, the short convolution has fewer than 2 taps, or a filter cannot
    /// be made of its options.
    pub fn try_init(&self, device: &Device) -> Result<Hyena, ConfigError> {
        self.checked(|| {
            let (d_model, order) = (self.d_model, self.order);
            check_channels(Self::KIND, "d_model", d_model)?;
            ConfigError::unless(order >= 2, Self::KIND, || {
                format!("order = {order}, but at least 2 is wanted")
            })?;
            let width = order.saturating_add(1).saturating_mul(d_model);
            check_channels(Self::KIND, "the number of projected channels", width)?;
            check_numbers(Self::KIND, "the projection", &[d_model, width])?;
            self.initializer.check(Self::KIND)?;
            let channels = (order - 1) * d_model;
            let filter = ImplicitFilterOptions {
                channels,
                max_len: self.max_len,
                emb_dim: self.emb_dim,
                hidden: self.filter_order,
                inner_layers: self.num_inner_mlps,
                frequency: self.w,
                fast_decay_pct: self.fast_decay_pct,
                slow_decay_pct: self.slow_decay_pct,
                target: self.target,
                shift: self.shift,
            };
            let short = ShortConvConfig::new(width).with_width(self.short_filter_order);
            Ok(Hyena {
                input: biased_projection(d_model, width, self.initializer, device),
                short: short.with_bias(true).with_activation(false).try_init(device)?,
                filter: filter.try_init(device)?,
                skip: Initializer::Normal { mean: 0.0, std: 1.0 }.init([channels], device),
                output: self.initializer.biased_output_projection(d_model, d_model, device),
            })
        })
    }
}

/// Hyena: gates and long convolutions in turn.
///
/// ```text
/// (x_0, .., x_{n-1}, v) = conv(W_i u + b_i)
/// v ← h_j * (x_j ⊙ v) + d_j ⊙ x_j ⊙ v        for j = n-1, .., 1
/// y = W_o (x_0 ⊙ v) + b_o
/// ```
///
/// Where
///
/// * `n` is the order, 2 by default, and `conv` a short causal depthwise convolution,
/// * `*` is the causal convolution of every channel with a filter `h_j` of `max_len` taps, which a small
///   network makes of the positions ([`ImplicitFilter`]): the filter costs no parameters per tap,
/// * `d_j` is the published code's bias of the filter, which multiplies the current token.
///
/// The published layer is of a fixed length. Here an output sees the last `max_len` tokens, however many there are.
///
/// The state are the inputs that a filter can still see: after `t` tokens `4·(n - 1)·D·min(t, max_len - 1)` bytes per
/// sequence, and `4·(W - 1)·(n + 1)·D` for the short convolution. It grows up to `max_len` tokens, unlike that of
/// recurrent layers, and a step reads and copies all of it: `O(max_len)` per token. A step also makes the filters anew, so
/// prefer parts of many tokens where they are at hand.
///
/// Source: Poli et al. 2023, <https://arxiv.org/abs/2302.10866> (sec. 3).
///
/// Should be created with [`HyenaConfig`].
#[derive(Module, Debug)]
pub struct Hyena {
    /// `D` to `(n + 1)·D`.
    pub input: Linear,
    /// The short convolution.
    pub short: ShortConv,
    /// The long filters, `(n - 1)·D` channels: filter `j` of channel `c` is `c·(n - 1) + j`.
    pub filter: ImplicitFilter,
    /// `d`, `[(n - 1)·D]`, in the order of the filters.
    pub skip: Param<Tensor<1>>,
    /// `D` to `D`.
    pub output: Linear,
}

crate::state! {
    /// State of [`Hyena`].
    pub struct HyenaState of Hyena {
        /// The last inputs of the short convolution, `[B, W - 1, (n + 1)·D]`.
        pub short: Tensor<3> as Convolution,
        /// The inputs of the long convolutions that their filters can still see, oldest first, one convolution after another:
        /// `[B, P, (n - 1)·D]`, with `P` from 0 to `max_len - 1`.
        pub inputs: Tensor<3> as Convolution,
    }
}

impl Hyena {
    /// The long convolutions.
    fn count(&self) -> usize {
        self.filter.output.dims()[1] / self.d_model()
    }

    /// The filters `[D, L]` and skips `[D]` of all long convolutions, `taps` taps long.
    fn filters(&self, taps: usize) -> Vec<(Tensor<2>, Tensor<1>)> {
        let (channels, count) = (self.d_model(), self.count());
        let filters = self.filter.forward(taps).transpose().reshape([channels, count, taps]);
        let skips = self.skip.val().reshape([channels, count]);
        (0..count)
            .map(|index| {
                let filter = filters.clone().narrow(1, index, 1).squeeze_dim(1);
                (filter, skips.clone().narrow(1, index, 1).squeeze_dim(1))
            })
            .collect()
    }
}

impl SequenceMixer for Hyena {
    type State = HyenaState;

    fn d_model(&self) -> usize {
        self.output.weight.dims()[1]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let dtype = accumulator(self.output.weight.val().dtype());
        let inputs = Tensor::zeros([batch, 0, self.count() * self.d_model()], (device, dtype));
        HyenaState { short: self.short.init_state(batch, device), inputs }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let (channels, count) = (self.d_model(), self.count());
        let ([_, time, _], [_, past, _]) = (input.dims(), state.inputs.dims());
        let (projected, short) =
            self.short.forward(project(&self.input, input), resets.clone(), Some(state.short));
        let part = |index: usize| projected.clone().narrow(2, index * channels, channels);

        // One tap more than there are inputs: the state must keep them all.
        let taps = past.saturating_add(time).saturating_add(1).min(self.filter.max_len());
        let mut value = part(count + 1);
        let mut kept = Vec::with_capacity(count);
        for (index, (filter, skip)) in self.filters(taps).into_iter().enumerate() {
            let options = LongConvOptions {
                initial_state: (past > 0).then(|| state.inputs.clone().narrow(2, index * channels, channels)),
                skip: Some(skip),
                resets: resets.clone(),
                ..Default::default()
            };
            let (output, inputs) = long_conv(value * part(count - index), filter, options);
            value = output;
            kept.push(inputs);
        }
        let inputs = if count == 1 { kept.remove(0) } else { Tensor::cat(kept, 2) };
        (project(&self.output, value * part(0)), HyenaState { short, inputs })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        long_conv_report(time, &LongConvOptions::default(), device)
    }
}
