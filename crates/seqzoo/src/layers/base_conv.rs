//! The gated short convolution that stands first in recall models.

use crate::ops::Report;
use crate::ops::causal_conv::{CausalConvOptions, causal_conv_report};
use crate::parts::{ProjectionInit, ShortConv, ShortConvConfig, biased_projection, project};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(BaseConv, "base_conv", BaseConvConfig);

/// Configuration of [`BaseConv`].
#[derive(Config, Debug)]
pub struct BaseConvConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Taps of the convolution, at least 2. Default: `3`.
    #[config(default = 3)]
    pub width: usize,
    /// How the projection is initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl BaseConvConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels or fewer than 2 taps.
    pub fn try_init(&self, device: &Device) -> Result<BaseConv, ConfigError> {
        self.checked(|| {
            let (d_model, width) = (self.d_model, self.width);
            self.initializer.check(Self::KIND)?;
            let conv = ShortConvConfig::new(d_model).with_width(width).with_bias(true).with_activation(false);
            Ok(BaseConv {
                conv: conv.try_init(device)?,
                projection: biased_projection(d_model, d_model, self.initializer, device),
            })
        })
    }
}

/// A gated short convolution.
///
/// ```text
/// y_t = (W x_t + b) ⊙ conv(x)_t + x_t
/// ```
///
/// Where `conv` is causal and depthwise over the last `width` tokens. It moves a token's content next
/// to its successor's, which is what recall needs first: a key must meet its value.
///
/// The state is the last `width - 1` inputs: `4·(width - 1)·D` bytes per sequence.
///
/// Source: Arora et al. 2023, <https://arxiv.org/abs/2312.04927> (sec. 4, BaseConv), with the
/// residual of Zoology's implementation.
///
/// Should be created with [`BaseConvConfig`].
#[derive(Module, Debug)]
pub struct BaseConv {
    /// The convolution.
    pub conv: ShortConv,
    /// `D` to `D`.
    pub projection: Linear,
}

crate::state! {
    /// State of [`BaseConv`].
    pub struct BaseConvState of BaseConv {
        /// The last `width - 1` inputs, `[B, width - 1, D]`.
        pub inputs: Tensor<3> as Convolution,
    }
}

impl SequenceMixer for BaseConv {
    type State = BaseConvState;

    fn d_model(&self) -> usize {
        self.projection.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        BaseConvState { inputs: self.conv.init_state(batch, device) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let (mixed, inputs) = self.conv.forward(input.clone(), resets, Some(state.inputs));
        (project(&self.projection, input.clone()) * mixed + input, BaseConvState { inputs })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        causal_conv_report(time, &CausalConvOptions::default(), device)
    }
}
