//! The short causal convolution before most recurrent mixers.

use crate::ConfigError;
use crate::config::{check_channels, check_numbers};
use crate::ops::causal_conv::{CausalConvOptions, causal_conv};
use crate::ops::{Segments, accumulator};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor};

const NAME: &str = "short convolution";

/// Configuration of [`ShortConv`].
#[derive(Config, Debug)]
pub struct ShortConvConfig {
    /// The number of channels.
    pub channels: usize,
    /// The number of taps, at least 2. Default: `4`.
    #[config(default = 4)]
    pub width: usize,
    /// Whether each channel has a bias. Default: `false`.
    #[config(default = false)]
    pub bias: bool,
    /// Whether the output passes `silu`. Default: `true`.
    #[config(default = true)]
    pub activation: bool,
}

impl ShortConvConfig {
    /// The convolution, its weights uniform in ±1/√width.
    ///
    /// # Errors
    ///
    /// If there are no channels or fewer than two taps, or more of them than any machine holds.
    pub fn try_init(&self, device: &Device) -> Result<ShortConv, ConfigError> {
        check_channels(NAME, "channels", self.channels)?;
        ConfigError::unless(self.width >= 2, NAME, || {
            format!("width = {}, but at least 2 taps are wanted", self.width)
        })?;
        check_numbers(NAME, &format!("width = {}: the taps", self.width), &[self.channels, self.width])?;
        let bound = (self.width as f64).powf(-0.5);
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Ok(ShortConv {
            weight: uniform.init([self.channels, self.width], device),
            bias: self.bias.then(|| uniform.init([self.channels], device)),
            activation: self.activation,
        })
    }
}

/// A short causal depthwise convolution: `y_t = act(b + Σ_j w_j ⊙ x_{t-W+1+j})`.
///
/// Its state is the last `W - 1` inputs, `[B, W - 1, D]`: `4·(W - 1)·D` bytes per sequence.
///
/// Should be created with [`ShortConvConfig`].
#[derive(Module, Debug)]
pub struct ShortConv {
    /// The taps, `[D, W]`; the last one multiplies the current token.
    pub weight: Param<Tensor<2>>,
    /// The bias, `[D]`.
    pub bias: Option<Param<Tensor<1>>>,
    activation: bool,
}

impl ShortConv {
    /// Zeros for `batch` sequences.
    pub fn init_state(&self, batch: usize, device: &Device) -> Tensor<3> {
        let weight = self.weight.val();
        let [channels, width] = weight.dims();
        Tensor::zeros([batch, width - 1, channels], (device, accumulator(weight.dtype())))
    }

    /// `[B, T, D]` to `[B, T, D]`, and the state after the last token.
    pub fn forward(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<Tensor<3>>,
    ) -> (Tensor<3>, Tensor<3>) {
        causal_conv(input, self.weight.val(), self.options(resets, None, state))
    }

    /// The same of several sequences in every row, of which there are `N` states, `[N, W - 1, D]`.
    pub fn forward_segments(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        segments: Segments,
        state: Option<Tensor<3>>,
    ) -> (Tensor<3>, Tensor<3>) {
        causal_conv(input, self.weight.val(), self.options(resets, Some(segments), state))
    }

    fn options(
        &self,
        resets: Option<Tensor<2, Bool>>,
        segments: Option<Segments>,
        initial_state: Option<Tensor<3>>,
    ) -> CausalConvOptions {
        let bias = self.bias.as_ref().map(Param::val);
        CausalConvOptions {
            bias,
            silu: self.activation,
            initial_state,
            resets,
            segments,
            ..Default::default()
        }
    }
}
