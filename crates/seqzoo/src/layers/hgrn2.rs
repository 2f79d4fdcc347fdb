//! HGRN2: gated linear recurrence whose state is a matrix.

use crate::config::{check_channels, check_numbers};
use crate::ops::linear_attention::{
    self as op, Decay, LinearAttentionOptions, linear_attention, linear_attention_report,
};
use crate::ops::{Report, accumulator, to_dtype};
use crate::parts::{
    Depth, DepthBounds, ForgetGate, ProjectionInit, RmsNorm, bounded_forget_gate, join_heads, projection,
    split_heads,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor, activation::silu};

crate::layer!(Hgrn2, "hgrn2", Hgrn2Config);

/// Configuration of [`Hgrn2`].
#[derive(Config, Debug)]
pub struct Hgrn2Config {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads. Default: `None`, `d_model / expand_ratio`.
    pub num_heads: Option<usize>,
    /// Key channels per head, the factor by which the state is larger than the output. Default: `128`.
    #[config(default = 128)]
    pub expand_ratio: usize,
    /// No channel keeps less than this of its state per token. It grows with the depth of the layer in published models,
    /// from 0 in the first one. Default: `0.0`.
    #[config(default = 0.0)]
    pub lower_bound: f64,
    /// Where the layer stands, if its bounds are learned per channel and grow with the depth: see [`DepthBounds`]. It takes
    /// the place of `lower_bound`. Default: `None`.
    pub depth: Option<Depth>,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl Hgrn2Config {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads or channels, the heads do not divide the channels, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<Hgrn2, ConfigError> {
        self.checked(|| {
            let Self { d_model, expand_ratio: key, initializer, .. } = *self;
            check_channels(Self::KIND, "d_model", d_model)?;
            check_channels(Self::KIND, "expand_ratio", key)?;
            let heads = self.num_heads.unwrap_or(d_model / key);
            ConfigError::unless(heads > 0 && d_model.is_multiple_of(heads), Self::KIND, || {
                format!(
                    "{heads} heads do not divide d_model = {d_model}; num_heads is d_model / expand_ratio unless it is \
                     given"
                )
            })?;
            let keys = heads.saturating_mul(key);
            check_channels(Self::KIND, "the number of key channels of all heads", keys)?;
            check_numbers(Self::KIND, "the state of each sequence", &[key, d_model])?;
            let gate = ForgetGate::try_new(Self::KIND, self.lower_bound)?;
            ConfigError::unless(self.depth.is_none() || self.lower_bound == 0.0, Self::KIND, || {
                format!("lower_bound = {}, but with a depth the bounds are learned; leave one of them out", self.lower_bound)
            })?;
            let bounds = self.depth.map(|depth| DepthBounds::try_new(Self::KIND, depth, keys, device));
            initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let into = |to| projection(d_model, to, initializer, device);
            Ok(Hgrn2 {
                query: into(keys),
                forget: into(keys),
                value: into(d_model),
                norm: RmsNorm::new(d_model, self.norm_epsilon, device),
                output: initializer.output_projection(d_model, d_model, device),
                bounds: bounds.transpose()?,
                heads,
                gate,
            })
        })
    }
}

/// HGRN2: linear attention whose keys are what its forget gates let go.
///
/// ```text
/// f_t = γ + (1 − γ) σ(W_f x_t)                        k_t = 1 − f_t
/// S_t = diag(f_t) S_{t-1} + k_t (W_i x_t)ᵀ            q_t = silu(W_q x_t)
/// y_t = W_o RMSNorm(S_tᵀ q_t / √K)
/// ```
///
/// Where
///
/// * `γ` is `lower_bound`, 0 by default, or with a `depth` [learned](DepthBounds) per channel,
/// * a head has `K = expand_ratio` channels of queries and keys and `V = D / H` of values,
/// * the norm works on the channels of all heads together.
///
/// The state is `S`, `4·K·D` bytes per sequence.
///
/// Source: Qin et al. 2024, <https://arxiv.org/abs/2404.07904> (sec. 3), in the form of flash-linear-attention: queries
/// pass `silu`, and there is no output gate.
///
/// Should be created with [`Hgrn2Config`].
#[derive(Module, Debug)]
pub struct Hgrn2 {
    /// `W_q`, `D` to `H·K`.
    pub query: Linear,
    /// `W_f`, `D` to `H·K`.
    pub forget: Linear,
    /// `W_i`, `D` to `D`.
    pub value: Linear,
    /// The norm of all heads' outputs.
    pub norm: RmsNorm,
    /// `W_o`, `D` to `D`.
    pub output: Linear,
    /// What the lower bounds are made of, if they are learned.
    pub bounds: Option<DepthBounds>,
    heads: usize,
    #[module(skip)]
    gate: ForgetGate,
}

crate::state! {
    /// State of [`Hgrn2`].
    pub struct Hgrn2State of Hgrn2 {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
    }
}

impl Hgrn2 {
    /// `ln f` and `1 − f` of the logits `[B, T, H, K]`.
    fn forget(&self, logits: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        match self.bounds.as_ref().and_then(DepthBounds::bounds) {
            Some(bounds) => {
                let [_, _, heads, keys] = logits.dims();
                bounded_forget_gate(logits, bounds.reshape([1, 1, heads, keys]))
            }
            None => (self.gate.log(logits.clone()), self.gate.complement(logits)),
        }
    }
}

impl SequenceMixer for Hgrn2 {
    type State = Hgrn2State;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let [d_model, keys] = self.query.weight.dims();
        let dtype = accumulator(self.query.weight.val().dtype());
        let shape = [batch, self.heads, keys / self.heads, d_model / self.heads];
        Hgrn2State { memory: Tensor::zeros(shape, (device, dtype)) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let heads = |tokens| split_heads(tokens, self.heads);
        let logits = self.forget.forward(input.clone());
        let wide = accumulator(logits.dtype());
        let (log_decay, key) = self.forget(heads(to_dtype(logits, wide)));
        let options = LinearAttentionOptions {
            initial_state: Some(op::LinearAttentionState { memory: state.memory, key_sum: None }),
            resets,
            ..Default::default()
        };
        let (read, state) = linear_attention(
            heads(silu(self.query.forward(input.clone()))),
            key,
            heads(self.value.forward(input)),
            Decay::Vector(log_decay),
            options,
        );
        let output = self.output.forward(self.norm.forward(join_heads(read)));
        (output, Hgrn2State { memory: state.memory })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_attention_report(time, &LinearAttentionOptions::default(), device)
    }
}
