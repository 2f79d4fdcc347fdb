//! Gated linear attention: a learned decay per token and key channel.

use crate::ops::linear_attention::{
    self as op, Decay, LinearAttentionOptions, linear_attention, linear_attention_report,
};
use crate::ops::token_wise::pointwise::log_sigmoid;
use crate::ops::{Form, Report, accumulator, repeat_heads};
use crate::parts::{
    ConvStates, GatedRmsNorm, HeadLayout, ProjectionInit, ShortConvs, biased_projection, join_heads, project,
    project_all, projection, split_heads,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(GatedLinearAttention, "gated_linear_attention", GatedLinearAttentionConfig);

/// Configuration of [`GatedLinearAttention`].
#[derive(Config, Debug)]
pub struct GatedLinearAttentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Query heads. Default: `4`.
    #[config(default = 4)]
    pub num_heads: usize,
    /// Key and value heads, dividing `num_heads`. Default: `None`, as many as query heads.
    pub num_kv_heads: Option<usize>,
    /// Key channels of all heads, as a multiple of `d_model`. Default: `0.5`.
    #[config(default = 0.5)]
    pub expand_k: f64,
    /// Value channels of all heads, as a multiple of `d_model`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_v: f64,
    /// Taps of the short convolutions after the query, key and value projections, at least 2 (4 is usual).
    /// Default: `None`, no convolutions.
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// Whether the output passes a gate. Default: `true`.
    #[config(default = true)]
    pub output_gate: bool,
    /// Rank of the projection that makes the decays. Default: `16`.
    #[config(default = 16)]
    pub gate_low_rank_dim: usize,
    /// Divides the log decays: at 16 an untrained gate keeps 0.958 per token. Default: `16.0`.
    #[config(default = 16.0)]
    pub gate_logit_normalizer: f64,
    /// Log decays are at least this. Default: `None`, no bound.
    pub clamp_min: Option<f64>,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl GatedLinearAttentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, the convolution has fewer than 2 taps, or the gate's
    /// rank or normalizer is not positive.
    pub fn try_init(&self, device: &Device) -> Result<GatedLinearAttention, ConfigError> {
        self.checked(|| {
            let layout = HeadLayout::expanded(
                Self::KIND,
                self.d_model,
                self.num_heads,
                self.num_kv_heads,
                self.expand_k,
                self.expand_v,
            )?;
            let rank = self.gate_low_rank_dim;
            ConfigError::unless(rank > 0, Self::KIND, || {
                "gate_low_rank_dim is 0; give it at least 1".into()
            })?;
            ConfigError::unless(self.gate_logit_normalizer > 0.0, Self::KIND, || {
                format!(
                    "gate_logit_normalizer = {}, but a positive number is wanted",
                    self.gate_logit_normalizer
                )
            })?;
            ConfigError::unless(self.clamp_min.is_none_or(|min| min <= 0.0), Self::KIND, || {
                format!("clamp_min = {}, but log decays are at most 0", self.clamp_min.unwrap_or_default())
            })?;
            let keys = layout.key_value_heads * layout.key;
            self.initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let [query, key, value] = layout.projections(self.d_model, self.initializer, device);
            let width = layout.heads * layout.value;
            let gate = self.output_gate.then(|| projection(self.d_model, width, self.initializer, device));
            Ok(GatedLinearAttention {
                query,
                key,
                value,
                decay_down: projection(self.d_model, rank, self.initializer, device),
                decay_up: biased_projection(rank, keys, self.initializer, device),
                gate,
                output: layout.output(self.d_model, self.initializer, device),
                norm: GatedRmsNorm::new(layout.value, self.norm_epsilon, device),
                convolutions: layout.convolutions(self.conv_size, self.conv_bias, device)?,
                layout,
                normalizer: self.gate_logit_normalizer,
                clamp_min: self.clamp_min,
            })
        })
    }
}

/// Gated linear attention: every key channel of every token says how much of the past it keeps.
///
/// ```text
/// S_t = diag(exp(g_t)) S_{t-1} + k_t v_tᵀ        g_t = max(log σ(W₂ W₁ x_t + b) / 16, clamp)
/// y_t = W_o ( RMSNorm(S_tᵀ q_t / √K) ⊙ silu(W_g x_t) )
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution if one is asked for,
/// * the norm works on each head by itself, and the gate after it is optional,
/// * 16 is `gate_logit_normalizer`, and the clamp is `clamp_min`, none by default.
///
/// The state is `S`, `4·H·K·V` bytes per sequence, and the last inputs of the convolutions.
///
/// Source: Yang et al. 2023, <https://arxiv.org/abs/2312.06635> (sec. 4.4).
///
/// Should be created with [`GatedLinearAttentionConfig`].
#[derive(Module, Debug)]
pub struct GatedLinearAttention {
    /// `D` to `H·K`.
    pub query: Linear,
    /// `D` to `HK·K`.
    pub key: Linear,
    /// `D` to `HK·V`.
    pub value: Linear,
    /// `W₁`, `D` to the rank.
    pub decay_down: Linear,
    /// `W₂` and `b`, the rank to `HK·K`.
    pub decay_up: Linear,
    /// `D` to `H·V`.
    pub gate: Option<Linear>,
    /// `H·V` to `D`.
    pub output: Linear,
    /// The norm of each head's output, gated where there is a gate.
    pub norm: GatedRmsNorm,
    /// The convolutions of query, key and value, if any.
    pub convolutions: ShortConvs,
    #[module(skip)]
    layout: HeadLayout,
    normalizer: f64,
    clamp_min: Option<f64>,
}

crate::state! {
    /// State of [`GatedLinearAttention`].
    pub struct GatedLinearAttentionState of GatedLinearAttention {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

impl GatedLinearAttention {
    /// The log decays `[B, T, HK, K]`, from `W₁ x`.
    fn log_decay(&self, down: Tensor<3>) -> Tensor<4> {
        let logits = project(&self.decay_up, down);
        let log = log_sigmoid(logits, 1.0 / self.normalizer, self.clamp_min, Form::Auto);
        split_heads(log, self.layout.key_value_heads)
    }
}

impl SequenceMixer for GatedLinearAttention {
    type State = GatedLinearAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let HeadLayout { heads, key, value, .. } = self.layout;
        let dtype = accumulator(self.query.weight.val().dtype());
        GatedLinearAttentionState {
            memory: Tensor::zeros([batch, heads, key, value], (device, dtype)),
            convolutions: self.convolutions.init_state(batch, device),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let HeadLayout { heads, key_value_heads, .. } = self.layout;
        let maps = [&self.query, &self.key, &self.value, &self.decay_down];
        let [query, key, value, down] = project_all(maps, input.clone());
        let ([query, key, value], convolutions) =
            self.convolutions.forward([query, key, value], resets.as_ref(), state.convolutions);

        let options = LinearAttentionOptions {
            initial_state: Some(op::LinearAttentionState { memory: state.memory, key_sum: None }),
            resets,
            ..Default::default()
        };
        let (read, state) = linear_attention(
            split_heads(query, heads),
            repeat_heads(split_heads(key, key_value_heads), heads),
            repeat_heads(split_heads(value, key_value_heads), heads),
            Decay::Vector(self.log_decay(down)),
            options,
        );
        let gate = self.gate.as_ref().map(|gate| split_heads(gate.forward(input), heads));
        let state = GatedLinearAttentionState { memory: state.memory, convolutions };
        (project(&self.output, join_heads(self.norm.forward(read, gate))), state)
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_attention_report(time, &LinearAttentionOptions::default(), device)
    }
}
