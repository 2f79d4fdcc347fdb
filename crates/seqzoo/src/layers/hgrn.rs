//! HGRN: gated linear recurrence, one number per channel.

use crate::config::check_channels;
use crate::ops::linear_scan::{Factor, LinearScanOptions, linear_scan, linear_scan_report};
use crate::ops::{Report, accumulator, to_dtype};
use crate::parts::{ForgetGate, GatedRmsNorm, ProjectionInit, project, projection};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor, activation::silu};

crate::layer!(Hgrn, "hgrn", HgrnConfig);

/// Configuration of [`Hgrn`].
#[derive(Config, Debug)]
pub struct HgrnConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Channels of the recurrence, as a multiple of `d_model`. Default: `1`.
    #[config(default = 1)]
    pub expand_ratio: usize,
    /// No channel keeps less than this of its state per token. It grows with the depth of the layer in published models,
    /// from 0 in the first one. Default: `0.0`.
    #[config(default = 0.0)]
    pub lower_bound: f64,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl HgrnConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<Hgrn, ConfigError> {
        self.checked(|| {
            let Self { d_model, initializer, .. } = *self;
            check_channels(Self::KIND, "d_model", d_model)?;
            let inner = d_model.saturating_mul(self.expand_ratio);
            check_channels(Self::KIND, "expand_ratio · d_model", inner)?;
            let forget = ForgetGate::try_new(Self::KIND, self.lower_bound)?;
            initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let into = || projection(d_model, inner, initializer, device);
            Ok(Hgrn {
                input: into(),
                forget: into(),
                gate: into(),
                norm: GatedRmsNorm::new(inner, self.norm_epsilon, device),
                output: initializer.output_projection(inner, d_model, device),
                forget_gate: forget,
            })
        })
    }
}

/// HGRN: every channel is a moving average whose rate the token chooses.
///
/// ```text
/// f_t = γ + (1 − γ) σ(W_f x_t)
/// h_t = f_t ⊙ h_{t-1} + (1 − f_t) ⊙ silu(W_i x_t)
/// y_t = W_o ( RMSNorm(h_t) ⊙ silu(W_g x_t) )
/// ```
///
/// Where `γ` is `lower_bound`, 0 by default.
///
/// The state is `h`, `4·E` bytes per sequence for `E = expand_ratio · D` channels.
///
/// Source: Qin et al. 2023, <https://arxiv.org/abs/2311.04823> (sec. 3), in the form of flash-linear-attention: real, and
/// with a norm before the output gate.
///
/// Should be created with [`HgrnConfig`].
#[derive(Module, Debug)]
pub struct Hgrn {
    /// `W_i`, `D` to `E`.
    pub input: Linear,
    /// `W_f`, `D` to `E`.
    pub forget: Linear,
    /// `W_g`, `D` to `E`.
    pub gate: Linear,
    /// The gated norm of the states.
    pub norm: GatedRmsNorm,
    /// `W_o`, `E` to `D`.
    pub output: Linear,
    #[module(skip)]
    forget_gate: ForgetGate,
}

crate::state! {
    /// State of [`Hgrn`].
    pub struct HgrnState of Hgrn {
        /// The state `h`, `[B, E]`.
        pub memory: Tensor<2> as Recurrent,
    }
}

impl SequenceMixer for Hgrn {
    type State = HgrnState;

    fn d_model(&self) -> usize {
        self.input.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let inner = self.input.weight.dims()[1];
        let dtype = accumulator(self.input.weight.val().dtype());
        HgrnState { memory: Tensor::zeros([batch, inner], (device, dtype)) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let dtype = input.dtype();
        let wide = accumulator(dtype);
        let logits = to_dtype(project(&self.forget, input.clone()), wide);
        let written = silu(to_dtype(project(&self.input, input.clone()), wide));
        let options =
            LinearScanOptions { initial_state: Some(state.memory), resets, ..LinearScanOptions::default() };
        let factor = Factor::PerToken(self.forget_gate.factor(logits.clone()));
        let (states, memory) = linear_scan(self.forget_gate.complement(logits) * written, factor, options);
        let normed = self.norm.forward(to_dtype(states, dtype), Some(project(&self.gate, input)));
        (project(&self.output, normed), HgrnState { memory })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_scan_report(time, &LinearScanOptions::<Tensor<2>>::default(), device)
    }
}
