//! Mamba-2: a state space with one rate per head, which is linear attention.

use crate::config::{check_channels, check_numbers};
use crate::ops::linear_attention::{LinearAttentionOptions, linear_attention_report};
use crate::ops::token_wise::pointwise::swiglu;
use crate::ops::{Form, Report, accumulator, to_dtype};
use crate::parts::{
    GroupedRmsNorm, ProjectionInit, ShortConv, ShortConvConfig, SsdOptions, TimeSteps, join_heads, project,
    project_parts, projection, split_heads, ssd, with_bias,
};
use crate::{ConfigError, LayerConfig, SequenceMixer, Undecayed};
use burn::config::Config;
use burn::module::Module;
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(Mamba2, "mamba2", Mamba2Config);

/// Configuration of [`Mamba2`].
#[derive(Config, Debug)]
pub struct Mamba2Config {
    /// Channels of input and output.
    pub d_model: usize,
    /// Numbers in the state of each inner channel. Default: `128`.
    #[config(default = 128)]
    pub d_state: usize,
    /// Taps of the short convolution, at least 2. Default: `4`.
    #[config(default = 4)]
    pub d_conv: usize,
    /// Inner channels, as a multiple of `d_model`. Default: `2`.
    #[config(default = 2)]
    pub expand: usize,
    /// Inner channels per head, a divisor of all of them. Default: `64`.
    #[config(default = 64)]
    pub head_dim: usize,
    /// Groups of heads that share `B` and `C`; a divisor of the number of heads. Default: `1`.
    #[config(default = 1)]
    pub n_groups: usize,
    /// Groups of channels that are normalised together; a divisor of the number of inner channels. Default: `None`, as many
    /// as `n_groups`.
    pub norm_groups: Option<usize>,
    /// The least and the greatest initial rate `A`. Default: `(1.0, 16.0)`.
    #[config(default = "(1.0, 16.0)")]
    pub a_range: (f64, f64),
    /// The least initial step. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The greatest initial step. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// No initial step is below this. Default: `0.0001`.
    #[config(default = 1e-4)]
    pub dt_floor: f64,
    /// The least and the greatest step of any token. Default: `None`, every step.
    pub dt_limit: Option<(f64, f64)>,
    /// Whether every inner channel has a skip `D` of its own, and not every head. Default: `false`.
    #[config(default = false)]
    pub d_per_channel: bool,
    /// Whether the output passes a norm. Default: `true`.
    #[config(default = true)]
    pub rms_norm: bool,
    /// Whether that norm comes before the gate, and not after it. Default: `false`.
    #[config(default = false)]
    pub norm_before_gate: bool,
    /// The epsilon of the norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// Whether the convolution has a bias. Default: `true`.
    #[config(default = true)]
    pub conv_bias: bool,
    /// Whether the projections have biases. Default: `false`.
    #[config(default = false)]
    pub bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl Mamba2Config {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels or states, the heads do not divide the inner channels or the groups the heads, the
    /// convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<Mamba2, ConfigError> {
        self.checked(|| {
            let Self { d_model, initializer, .. } = *self;
            let layout = self.layout()?;
            let Layout { heads, inner, .. } = layout;
            let steps = TimeSteps { min: self.dt_min, max: self.dt_max, floor: self.dt_floor };
            self.check_numbers(steps)?;
            let biased = |linear| if self.bias { with_bias(linear, initializer, device) } else { linear };
            let conv = ShortConvConfig::new(layout.mixed()).with_width(self.d_conv).with_bias(self.conv_bias);
            let rates = Initializer::Uniform { min: self.a_range.0, max: self.a_range.1 };
            let skips = if self.d_per_channel { inner } else { heads };
            let norm_groups = self.norm_groups.unwrap_or(layout.groups);
            ConfigError::unless(norm_groups > 0 && inner.is_multiple_of(norm_groups), Self::KIND, || {
                format!("norm_groups = {norm_groups} does not divide the {inner} inner channels")
            })?;
            let norm =
                || GroupedRmsNorm::new(inner, norm_groups, self.norm_epsilon, self.norm_before_gate, device);
            Ok(Mamba2 {
                input: biased(projection(d_model, inner + layout.mixed() + heads, initializer, device)),
                conv: conv.try_init(device)?,
                dt_bias: steps.biases(heads, device).into(),
                a_log: rates.init([heads], device).init_mapper(|rates: Tensor<1>| rates.log()).into(),
                d: Initializer::Ones.init([skips], device).into(),
                norm: self.rms_norm.then(norm),
                output: biased(initializer.output_projection(inner, d_model, device)),
                layout,
                dt_limit: self.dt_limit,
            })
        })
    }

    fn layout(&self) -> Result<Layout, ConfigError> {
        let Self { d_model, d_state, head_dim, n_groups: groups, .. } = *self;
        check_channels(Self::KIND, "d_model", d_model)?;
        check_channels(Self::KIND, "d_state", d_state)?;
        let inner = d_model.saturating_mul(self.expand);
        check_channels(Self::KIND, "expand · d_model", inner)?;
        ConfigError::unless(head_dim > 0 && inner.is_multiple_of(head_dim), Self::KIND, || {
            format!(
                "head_dim = {head_dim} does not divide the {inner} inner channels, expand · d_model; change one of them"
            )
        })?;
        let heads = inner / head_dim;
        ConfigError::unless(groups > 0 && heads.is_multiple_of(groups), Self::KIND, || {
            format!("n_groups = {groups} does not divide the {heads} heads")
        })?;
        check_numbers(Self::KIND, "the state of each sequence", &[inner, d_state])?;
        Ok(Layout { heads, inner, groups, states: d_state })
    }

    fn check_numbers(&self, steps: TimeSteps) -> Result<(), ConfigError> {
        steps.check(Self::KIND)?;
        self.initializer.check(Self::KIND)?;
        ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
        let (least, greatest) = self.a_range;
        // Apart in `f32`, too: an interval without numbers has no random one.
        ConfigError::unless(least > 0.0 && (least as f32) < greatest as f32, Self::KIND, || {
            format!(
                "a_range = ({least}, {greatest}), but two positive numbers are wanted, the first one smaller"
            )
        })?;
        let (least, greatest) = self.dt_limit.unwrap_or_default();
        ConfigError::unless(0.0 <= least && least <= greatest, Self::KIND, || {
            format!("dt_limit = ({least}, {greatest}), but a least and a greatest step are wanted")
        })
    }
}

/// How the inner channels divide.
#[derive(Clone, Copy, Debug)]
struct Layout {
    heads: usize,
    /// The channels of all heads.
    inner: usize,
    groups: usize,
    states: usize,
}

impl Layout {
    /// The channels of `B`, or of `C`.
    fn shared(&self) -> usize {
        self.groups * self.states
    }

    /// The channels that the convolution works on: `x`, `B` and `C`.
    fn mixed(&self) -> usize {
        self.inner + 2 * self.shared()
    }
}

/// Mamba-2: every head keeps a matrix that fades at a rate the token chooses, which makes a state space of linear
/// attention.
///
/// ```text
/// z_t, (x, B, C)_t, dt_t = W_in u_t             x, B, C = silu(conv(x, B, C))
/// Δ_t = limits(softplus(dt_t + dt_bias))        A = −exp(a_log)
/// S_t = exp(Δ_t A) S_{t-1} + B_t (Δ_t x_t)ᵀ     o_t = S_tᵀ C_t + D ⊙ x_t
/// y_t = W_out RMSNorm( o_t ⊙ silu(z_t) )
/// ```
///
/// Where
///
/// * `x` and `z` have `E = expand · D` channels in `H` heads of `P`, and `Δ` and `A` have one number per head,
/// * `B` and `C` have `N` numbers, shared by the heads of a group,
/// * `conv` is causal and depthwise over the last `d_conv` tokens,
/// * the norm works on each of `norm_groups` groups of channels by itself; with `norm_before_gate` it is `RMSNorm(o) ⊙ silu(z)`,
/// * `A` is uniform in `a_range` initially, `D` is 1, and `softplus(dt_bias)` log-uniform from `dt_min` to `dt_max`.
///
/// The state is `S`, `4·E·N` bytes per sequence, and the last `d_conv − 1` inputs of the convolution.
///
/// Source: Dao & Gu 2024, <https://arxiv.org/abs/2405.21060> (sec. 7).
///
/// Should be created with [`Mamba2Config`].
#[derive(Module, Debug)]
pub struct Mamba2 {
    /// `W_in`, `D` to `2·E + 2·G·N + H`: `z`, `x`, `B`, `C`, `dt`.
    pub input: Linear,
    /// The convolution of `x`, `B` and `C`.
    pub conv: ShortConv,
    /// `[H]`.
    pub dt_bias: Undecayed<1>,
    /// `ln(−A)`, `[H]`.
    pub a_log: Undecayed<1>,
    /// The skip `D`, `[H]` or `[E]`.
    pub d: Undecayed<1>,
    /// The gated norm. Without it the gate stands alone.
    pub norm: Option<GroupedRmsNorm>,
    /// `W_out`, `E` to `D`.
    pub output: Linear,
    #[module(skip)]
    layout: Layout,
    #[module(skip)]
    dt_limit: Option<(f64, f64)>,
}

crate::state! {
    /// State of [`Mamba2`].
    pub struct Mamba2State of Mamba2 {
        /// The memory `S`, `[B, H, N, P]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolution, `[B, d_conv - 1, E + 2·G·N]`.
        pub inputs: Tensor<3> as Convolution,
    }
}

impl SequenceMixer for Mamba2 {
    type State = Mamba2State;

    fn d_model(&self) -> usize {
        self.input.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let Layout { heads, inner, states, .. } = self.layout;
        let dtype = accumulator(self.a_log.val().dtype());
        Mamba2State {
            memory: Tensor::zeros([batch, heads, states, inner / heads], (device, dtype)),
            inputs: self.conv.init_state(batch, device),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let Layout { heads, inner, groups, .. } = self.layout;
        let (mixed, shared) = (self.layout.mixed(), self.layout.shared());
        let [z, tokens, dt] = project_parts(&self.input, [inner, mixed, heads], input);
        let (tokens, inputs) = self.conv.forward(tokens, resets.clone(), Some(state.inputs));

        let part = |from, channels, heads| split_heads(tokens.clone().narrow(2, from, channels), heads);
        let (b, c) = (part(inner, shared, groups), part(inner + shared, shared, groups));
        let rates = self.a_log.val();
        let wide = accumulator(rates.dtype());
        let skip = self.d.val();
        let each = skip.dims()[0] / heads;
        let options = SsdOptions {
            dt_bias: Some(self.dt_bias.val()),
            dt_softplus: true,
            dt_limits: self.dt_limit,
            d: Some(skip.reshape([heads, each])),
            initial_state: Some(state.memory),
            resets,
            ..Default::default()
        };
        let rates = to_dtype(rates, wide).exp().neg();
        let (read, memory) = ssd(part(0, inner, heads), dt, rates, b, c, options);
        let read = join_heads(read);
        let output = match &self.norm {
            Some(norm) => norm.forward(read, z),
            None => swiglu(z, read, Form::Auto),
        };
        (project(&self.output, output), Mamba2State { memory, inputs })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_attention_report(time, &LinearAttentionOptions::default(), device)
    }
}
