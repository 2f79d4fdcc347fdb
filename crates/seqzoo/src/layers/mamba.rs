//! Mamba: a diagonal state space whose step, write and read every token chooses.

use crate::config::{check_channels, check_numbers};
use crate::ops::selective_scan::{SelectiveScanOptions, selective_scan, selective_scan_report};
use crate::ops::token_wise::linear::{Map, linear};
use crate::ops::{Form, Report, accumulator};
use crate::parts::{
    ProjectionInit, ShortConv, ShortConvConfig, TimeSteps, project, project_parts, projection,
    root_mean_square_norm, with_bias,
};
use crate::{ConfigError, LayerConfig, SequenceMixer, Undecayed};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(Mamba, "mamba", MambaConfig);

/// Configuration of [`Mamba`].
#[derive(Config, Debug)]
pub struct MambaConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Numbers in the state of each inner channel. Default: `16`.
    #[config(default = 16)]
    pub d_state: usize,
    /// Taps of the short convolution, at least 2. Default: `4`.
    #[config(default = 4)]
    pub d_conv: usize,
    /// Inner channels, as a multiple of `d_model`. Default: `2`.
    #[config(default = 2)]
    pub expand: usize,
    /// Inner channels. Default: `None`, `expand · d_model`.
    pub d_inner: Option<usize>,
    /// Rank of the projection that makes the steps. Default: `None`, `d_model / 16` rounded up.
    pub dt_rank: Option<usize>,
    /// The least initial step. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The greatest initial step. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// No initial step is below this. Default: `0.0001`.
    #[config(default = 1e-4)]
    pub dt_floor: f64,
    /// The weights of the steps' projection are uniform in ± this over `√dt_rank` initially. Default: `1.0`.
    #[config(default = 1.0)]
    pub dt_scale: f64,
    /// Whether the convolution has a bias. Default: `true`.
    #[config(default = true)]
    pub conv_bias: bool,
    /// Whether the projections into and out of the layer have biases. Default: `false`.
    #[config(default = false)]
    pub bias: bool,
    /// Whether what makes the step, `B` and `C` each pass a root-mean-square norm without a scale, and its epsilon, as in
    /// Falcon Mamba (`1e-6` there). Default: `None`, no norm.
    pub selection_norm_epsilon: Option<f64>,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl MambaConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, states or ranks, the convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<Mamba, ConfigError> {
        self.checked(|| {
            let Self { d_model, d_state, initializer, .. } = *self;
            check_channels(Self::KIND, "d_model", d_model)?;
            check_channels(Self::KIND, "d_state", d_state)?;
            let inner = self.d_inner.unwrap_or(d_model.saturating_mul(self.expand));
            let name = if self.d_inner.is_some() { "d_inner" } else { "expand · d_model" };
            check_channels(Self::KIND, name, inner)?;
            let rank = self.dt_rank.unwrap_or(d_model.div_ceil(16));
            check_channels(Self::KIND, "dt_rank", rank)?;
            check_numbers(Self::KIND, "the state of each sequence", &[inner, d_state])?;
            ConfigError::unless(self.dt_scale > 0.0, Self::KIND, || {
                format!("dt_scale = {}, but a positive number is wanted", self.dt_scale)
            })?;
            let steps = TimeSteps { min: self.dt_min, max: self.dt_max, floor: self.dt_floor };
            steps.check(Self::KIND)?;
            initializer.check(Self::KIND)?;
            ConfigError::unless_finite(
                Self::KIND,
                "selection_norm_epsilon",
                self.selection_norm_epsilon.unwrap_or(0.0),
            )?;
            let biased = |linear| if self.bias { with_bias(linear, initializer, device) } else { linear };
            let conv = ShortConvConfig::new(inner).with_width(self.d_conv).with_bias(self.conv_bias);
            let bound = self.dt_scale * (rank as f64).powf(-0.5);
            let ones = Initializer::Ones.init([inner, d_state], device);
            Ok(Mamba {
                input: biased(projection(d_model, 2 * inner, initializer, device)),
                conv: conv.try_init(device)?,
                selection: projection(inner, rank + 2 * d_state, initializer, device),
                dt: Linear {
                    weight: Initializer::Uniform { min: -bound, max: bound }.init([rank, inner], device),
                    bias: Some(steps.biases(inner, device)),
                },
                a_log: ones.init_mapper(|ones: Tensor<2>| ones.cumsum(1).log()).into(),
                d: Initializer::Ones.init([inner], device).into(),
                output: biased(initializer.output_projection(inner, d_model, device)),
                selection_norm_epsilon: self.selection_norm_epsilon,
            })
        })
    }
}

/// Mamba: every inner channel has a state of its own, and every token chooses how long it lasts, what is written into it
/// and what is read.
///
/// ```text
/// x_t, z_t       = W_in u_t                     x_t = silu(conv(x)_t)
/// r_t, B_t, C_t  = W_x x_t                      Δ_t = softplus(W_Δ r_t + b_Δ)
/// h_t = exp(Δ_t A) ⊙ h_{t-1} + Δ_t x_t B_t      A = −exp(a_log)
/// y_t = W_out ( (C_t · h_t + D ⊙ x_t) ⊙ silu(z_t) )
/// ```
///
/// Where
///
/// * `x`, `z` and `Δ` have `E = expand · D` channels, `B` and `C` have `N` numbers that all channels share,
/// * `conv` is causal and depthwise over the last `d_conv` tokens,
/// * `r`, `B` and `C` each pass a root-mean-square norm without a scale if the option `selection_norm_epsilon` is given,
/// * `A` is `−1 .. −N` in every channel initially, `D` is 1, and `softplus(b_Δ)` log-uniform from `dt_min` to `dt_max`.
///
/// The state is `h`, `4·E·N` bytes per sequence, and the last `d_conv − 1` inputs of the convolution.
///
/// Source: Gu & Dao 2023, <https://arxiv.org/abs/2312.00752> (sec. 3.4 to 3.6, algorithm 2); the norms: Zuo et al. 2024,
/// <https://arxiv.org/abs/2410.05355>.
///
/// Should be created with [`MambaConfig`].
#[derive(Module, Debug)]
pub struct Mamba {
    /// `W_in`, `D` to `2·E`: `x`, then `z`.
    pub input: Linear,
    /// The convolution of `x`.
    pub conv: ShortConv,
    /// `W_x`, `E` to `R + 2·N`: what makes the step, then `B`, then `C`.
    pub selection: Linear,
    /// `W_Δ` and `b_Δ`, `R` to `E`.
    pub dt: Linear,
    /// `ln(−A)`, `[E, N]`.
    pub a_log: Undecayed<2>,
    /// The skip `D`, `[E]`.
    pub d: Undecayed<1>,
    /// `W_out`, `E` to `D`.
    pub output: Linear,
    selection_norm_epsilon: Option<f64>,
}

crate::state! {
    /// State of [`Mamba`].
    pub struct MambaState of Mamba {
        /// The state `h`, `[B, E, N]`.
        pub memory: Tensor<3> as Recurrent,
        /// The last inputs of the convolution, `[B, d_conv - 1, E]`.
        pub inputs: Tensor<3> as Convolution,
    }
}

impl Mamba {
    /// A part of what the token selects, `[B, T, _]`, after its norm if there is one.
    fn normed(&self, part: Tensor<3>) -> Tensor<3> {
        match self.selection_norm_epsilon {
            Some(epsilon) => root_mean_square_norm(part, epsilon),
            None => part,
        }
    }
}

impl SequenceMixer for Mamba {
    type State = MambaState;

    fn d_model(&self) -> usize {
        self.input.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let [inner, states] = self.a_log.dims();
        let dtype = accumulator(self.a_log.val().dtype());
        MambaState {
            memory: Tensor::zeros([batch, inner, states], (device, dtype)),
            inputs: self.conv.init_state(batch, device),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let ([inner, states], [rank, _]) = (self.a_log.dims(), self.dt.weight.dims());
        let [x, z] = project_parts(&self.input, [inner; 2], input);
        let (x, inputs) = self.conv.forward(x, resets.clone(), Some(state.inputs));

        let selected = project_parts(&self.selection, [rank, states, states], x.clone());
        let [steps, b, c] = selected.map(|part| self.normed(part));
        let [b, c] = [b, c].map(|shared| shared.unsqueeze_dim::<4>(2)); // [b, t, 1, n]
        // Its bias is added by the operator, in the precision of the state.
        let map = Map { weight: self.dt.weight.val(), bias: None };
        let [delta] = linear(steps, [map], Form::Auto);
        let options = SelectiveScanOptions {
            a_log: true,
            delta_bias: self.dt.bias.as_ref().map(Param::val),
            delta_softplus: true,
            d: Some(self.d.val()),
            z: Some(z),
            initial_state: Some(state.memory),
            resets,
            ..Default::default()
        };
        let (read, memory) = selective_scan(x, delta, self.a_log.val(), b, c, options);
        (project(&self.output, read), MambaState { memory, inputs })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        selective_scan_report(time, &SelectiveScanOptions::default(), device)
    }
}
