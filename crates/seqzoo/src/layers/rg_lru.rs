//! The recurrent block of Griffin.

use crate::config::check_channels;
use crate::ops::Report;
use crate::ops::linear_scan::{LinearScanOptions, linear_scan_report};
use crate::parts::{
    ProjectionInit, RealGatedLru, ShortConv, ShortConvConfig, project, projection, with_bias,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor, activation::gelu_approximate};

crate::layer!(RgLru, "rg_lru", RgLruConfig);

/// Configuration of [`RgLru`].
#[derive(Config, Debug)]
pub struct RgLruConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Channels of the recurrence. Default: `None`, `d_model`.
    pub lru_width: Option<usize>,
    /// Blocks of the gates, a divisor of the channels of the recurrence. Default: `16`.
    #[config(default = 16)]
    pub num_heads: usize,
    /// Taps of the short convolution, at least 2. Default: `4`.
    #[config(default = 4)]
    pub d_conv: usize,
    /// Whether the convolution has a bias. Default: `true`.
    #[config(default = true)]
    pub conv_bias: bool,
    /// Whether the projections have biases. Default: `true`.
    #[config(default = true)]
    pub bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl RgLruConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, the heads do not divide those of the recurrence, or the convolution has fewer than 2 taps.
    pub fn try_init(&self, device: &Device) -> Result<RgLru, ConfigError> {
        self.checked(|| {
            let Self { d_model, num_heads: heads, initializer, .. } = *self;
            check_channels(Self::KIND, "d_model", d_model)?;
            let width = self.lru_width.unwrap_or(d_model);
            check_channels(Self::KIND, "lru_width", width)?;
            ConfigError::unless(heads > 0 && width.is_multiple_of(heads), Self::KIND, || {
                format!("num_heads = {heads} does not divide the {width} channels of the recurrence")
            })?;
            initializer.check(Self::KIND)?;
            let biased = |linear| if self.bias { with_bias(linear, initializer, device) } else { linear };
            let conv = ShortConvConfig::new(width).with_width(self.d_conv).with_bias(self.conv_bias);
            Ok(RgLru {
                input: biased(projection(d_model, width, initializer, device)),
                gate: biased(projection(d_model, width, initializer, device)),
                conv: conv.with_activation(false).try_init(device)?,
                unit: RealGatedLru::new(heads, width / heads, initializer, device),
                output: biased(initializer.output_projection(width, d_model, device)),
            })
        })
    }
}

/// The recurrent block of Griffin: a short convolution, then a moving average whose rates and inputs tokens choose, and
/// beside them a gate.
///
/// ```text
/// x_t = conv(W_x u)_t                     r_t, i_t = σ(W_r x_t + b_r), σ(W_i x_t + b_i)
/// h_t = a_t ⊙ h_{t-1} + √(1 − a_t²) ⊙ i_t ⊙ x_t
/// a_t = exp(−8 r_t softplus(Λ))
/// y_t = W_o ( h_t ⊙ gelu(W_y u_t) )
/// ```
///
/// Where
///
/// * the recurrence, with its first token and its initial rates, is [`RealGatedLru`],
/// * `conv` is causal and depthwise over the last `d_conv` tokens,
/// * `gelu` is the approximation with `tanh`, and all projections have biases by default.
///
/// The state is `h` and whether a token has passed, `4·E + 4` bytes per sequence for `E` channels, and the last
/// `d_conv − 1` inputs of the convolution.
///
/// Source: De et al. 2024, <https://arxiv.org/abs/2402.19427> (sec. 2.3 and 2.4).
///
/// Should be created with [`RgLruConfig`].
#[derive(Module, Debug)]
pub struct RgLru {
    /// `W_x`, `D` to `E`.
    pub input: Linear,
    /// `W_y`, `D` to `E`.
    pub gate: Linear,
    /// The convolution.
    pub conv: ShortConv,
    /// The recurrence.
    pub unit: RealGatedLru,
    /// `W_o`, `E` to `D`.
    pub output: Linear,
}

crate::state! {
    /// State of [`RgLru`].
    pub struct RgLruState of RgLru {
        /// The state `h`, `[B, E]`.
        pub memory: Tensor<2> as Recurrent,
        /// 1 where a token has passed in the sequence, 0 where the next one is the first, `[B, 1]`.
        pub seen: Tensor<2> as Recurrent,
        /// The last inputs of the convolution, `[B, d_conv - 1, E]`.
        pub inputs: Tensor<3> as Convolution,
    }
}

impl SequenceMixer for RgLru {
    type State = RgLruState;

    fn d_model(&self) -> usize {
        self.input.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let (memory, seen) = self.unit.init_state(batch, device);
        RgLruState { memory, seen, inputs: self.conv.init_state(batch, device) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let gate = gelu_approximate(project(&self.gate, input.clone()));
        let (x, inputs) = self.conv.forward(project(&self.input, input), resets.clone(), Some(state.inputs));
        let (read, (memory, seen)) = self.unit.forward(x, resets, (state.memory, state.seen));
        (project(&self.output, read * gate), RgLruState { memory, seen, inputs })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_scan_report(time, &LinearScanOptions::<Tensor<2>>::default(), device)
    }
}
