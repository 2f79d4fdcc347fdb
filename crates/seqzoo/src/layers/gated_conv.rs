//! The short convolution between gates that makes up most of Based.

use crate::config::check_channels;
use crate::ops::Report;
use crate::ops::causal_conv::{CausalConvOptions, causal_conv_report};
use crate::parts::{ProjectionInit, ShortConv, ShortConvConfig, biased_projection, project, projection};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(GatedConv, "gated_conv", GatedConvConfig);

/// Configuration of [`GatedConv`].
#[derive(Config, Debug)]
pub struct GatedConvConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Taps of the convolution, at least 2. Default: `3`.
    #[config(default = 3)]
    pub width: usize,
    /// Channels of the convolution and of its gate together, as a multiple of `d_model`. Default: `4`.
    #[config(default = 4)]
    pub expand: usize,
    /// Whether the projections have biases. Default: `true`.
    #[config(default = true)]
    pub bias: bool,
    /// Whether the convolution has biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl GatedConvConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, an odd number for the convolution and its gate, or fewer than 2 taps.
    pub fn try_init(&self, device: &Device) -> Result<GatedConv, ConfigError> {
        self.checked(|| {
            let Self { d_model, width, expand, bias, conv_bias, initializer } = *self;
            check_channels(Self::KIND, "d_model", d_model)?;
            let both = expand.saturating_mul(d_model);
            check_channels(Self::KIND, "expand · d_model", both)?;
            ConfigError::unless(both.is_multiple_of(2), Self::KIND, || {
                format!("expand · d_model = {both}, but an even number is wanted: a half is convolved, a half gates it")
            })?;
            initializer.check(Self::KIND)?;
            let conv = ShortConvConfig::new(both / 2).with_width(width).with_bias(conv_bias);
            let (input, output) = match bias {
                true => (
                    biased_projection(d_model, both, initializer, device),
                    initializer.biased_output_projection(both / 2, d_model, device),
                ),
                false => (
                    projection(d_model, both, initializer, device),
                    initializer.output_projection(both / 2, d_model, device),
                ),
            };
            Ok(GatedConv { input, conv: conv.try_init(device)?, output })
        })
    }
}

/// A short convolution and a gate, between two projections.
///
/// ```text
/// [u, g]_t = W_in x_t + b_in
/// y_t      = W_out (silu(conv(u)_t) ⊙ g_t) + b_out
/// ```
///
/// Where `conv` is causal and depthwise over the last `width` tokens. It is the layer that Based has in four of five places
/// (BaseConv in the authors' program); [`BaseConv`](super::BaseConv) is Zoology's layer of that name, with one projection and
/// no activation.
///
/// The state is the last `width - 1` of `u`: `4·(width - 1)·E/2` bytes per sequence, with `E = expand · D`.
///
/// Source: Arora et al. 2024, <https://arxiv.org/abs/2402.18668>, as in the authors' program.
///
/// Should be created with [`GatedConvConfig`].
#[derive(Module, Debug)]
pub struct GatedConv {
    /// `D` to `E`: what is convolved, and its gate.
    pub input: Linear,
    /// The convolution, over `E/2` channels.
    pub conv: ShortConv,
    /// `E/2` to `D`.
    pub output: Linear,
}

crate::state! {
    /// State of [`GatedConv`].
    pub struct GatedConvState of GatedConv {
        /// The last `width - 1` inputs of the convolution, `[B, width - 1, E/2]`.
        pub inputs: Tensor<3> as Convolution,
    }
}

impl SequenceMixer for GatedConv {
    type State = GatedConvState;

    fn d_model(&self) -> usize {
        self.input.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        GatedConvState { inputs: self.conv.init_state(batch, device) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let both = project(&self.input, input);
        let half = both.dims()[2] / 2;
        let (convolved, inputs) =
            self.conv.forward(both.clone().narrow(2, 0, half), resets, Some(state.inputs));
        let gated = convolved * both.narrow(2, half, half);
        (project(&self.output, gated), GatedConvState { inputs })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        causal_conv_report(time, &CausalConvOptions::default(), device)
    }
}
