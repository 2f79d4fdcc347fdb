//! Retention: linear attention that fades at a fixed rate per head.

use crate::ops::linear_attention::{
    self as op, Decay, LinearAttentionOptions, linear_attention, linear_attention_report,
};
use crate::ops::{Report, accumulator, repeat_heads};
use crate::parts::{
    ConvStates, GatedRmsNorm, HeadLayout, ProjectionInit, Rotary, ShortConvs, join_heads, project,
    project_all, projection, retention_decay, split_heads,
};
use crate::state::advanced;
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(MultiScaleRetention, "multi_scale_retention", MultiScaleRetentionConfig);

/// Configuration of [`MultiScaleRetention`].
#[derive(Config, Debug)]
pub struct MultiScaleRetentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Query heads. Default: `8`.
    #[config(default = 8)]
    pub num_heads: usize,
    /// Key and value heads, dividing `num_heads`. Default: `None`, as many as query heads.
    pub num_kv_heads: Option<usize>,
    /// Key channels of all heads, as a multiple of `d_model`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_k: f64,
    /// Value channels of all heads, as a multiple of `d_model`. Default: `2.0`.
    #[config(default = 2.0)]
    pub expand_v: f64,
    /// Taps of the short convolutions after the query, key and value projections, at least 2 (4 is usual).
    /// Default: `None`, no convolutions.
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// The base of the rotary angles. Default: `10000.0`.
    #[config(default = 10000.0)]
    pub rotary_base: f64,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl MultiScaleRetentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, or a head has an odd number of key channels.
    pub fn try_init(&self, device: &Device) -> Result<MultiScaleRetention, ConfigError> {
        self.checked(|| {
            let layout = HeadLayout::expanded(
                Self::KIND,
                self.d_model,
                self.num_heads,
                self.num_kv_heads,
                self.expand_k,
                self.expand_v,
            )?;
            self.initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let [query, key, value] = layout.projections(self.d_model, self.initializer, device);
            Ok(MultiScaleRetention {
                query,
                key,
                value,
                gate: projection(self.d_model, layout.heads * layout.value, self.initializer, device),
                output: layout.output(self.d_model, self.initializer, device),
                norm: GatedRmsNorm::new(layout.value, self.norm_epsilon, device),
                convolutions: layout.convolutions(self.conv_size, self.conv_bias, device)?,
                rotary: Rotary::new(Self::KIND, self.rotary_base, layout.key)?,
                layout,
            })
        })
    }
}

/// Multi-scale retention: every head fades at its own fixed rate.
///
/// ```text
/// S_t = γ_h S_{t-1} + k_t v_tᵀ        γ_h = 1 − 2^(−5−h),  h = 0 .. H−1
/// y_t = W_o ( RMSNorm(S_tᵀ q_t / √K) ⊙ silu(W_g x_t) )
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution if one is asked for,
///   then `q` and `k` rotated by rotary positions,
/// * the norm works on each head by itself.
///
/// The state is `S`, `4·H·K·V` bytes per sequence, the last inputs of the convolutions, and the position.
///
/// Source: Sun et al. 2023, <https://arxiv.org/abs/2307.08621> (sec. 2.1 to 2.3), in the form of
/// flash-linear-attention: rotary positions instead of xPos, and a plain norm.
///
/// Should be created with [`MultiScaleRetentionConfig`].
#[derive(Module, Debug)]
pub struct MultiScaleRetention {
    /// `D` to `H·K`.
    pub query: Linear,
    /// `D` to `HK·K`.
    pub key: Linear,
    /// `D` to `HK·V`.
    pub value: Linear,
    /// `D` to `H·V`.
    pub gate: Linear,
    /// `H·V` to `D`.
    pub output: Linear,
    /// The gated norm of each head's output.
    pub norm: GatedRmsNorm,
    /// The convolutions of query, key and value, if any.
    pub convolutions: ShortConvs,
    #[module(skip)]
    rotary: Rotary,
    #[module(skip)]
    layout: HeadLayout,
}

crate::state! {
    /// State of [`MultiScaleRetention`].
    pub struct MultiScaleRetentionState of MultiScaleRetention {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
        /// How many tokens have passed.
        pub position: u64,
    }
}

impl SequenceMixer for MultiScaleRetention {
    type State = MultiScaleRetentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let HeadLayout { heads, key, value, .. } = self.layout;
        let dtype = accumulator(self.query.weight.val().dtype());
        MultiScaleRetentionState {
            memory: Tensor::zeros([batch, heads, key, value], (device, dtype)),
            convolutions: self.convolutions.init_state(batch, device),
            position: 0,
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let HeadLayout { heads, key_value_heads, key: key_dim, .. } = self.layout;
        let time = input.dims()[1];
        let after = advanced(state.position, time);
        let projected = project_all([&self.query, &self.key, &self.value], input.clone());
        let ([query, key, value], convolutions) =
            self.convolutions.forward(projected, resets.as_ref(), state.convolutions);
        let query = split_heads(query, heads);
        let (key, value) = (split_heads(key, key_value_heads), split_heads(value, key_value_heads));
        let gate = split_heads(project(&self.gate, input), heads);

        let rotation = self.rotary.at(state.position, time, key_dim, query.dtype(), &query.device());
        let decay = Decay::PerHead(retention_decay(heads, accumulator(query.dtype()), &query.device()));
        let options = LinearAttentionOptions {
            initial_state: Some(op::LinearAttentionState { memory: state.memory, key_sum: None }),
            resets,
            ..Default::default()
        };
        let (read, state) = linear_attention(
            rotation.apply(query),
            repeat_heads(rotation.apply(key), heads),
            repeat_heads(value, heads),
            decay,
            options,
        );
        let output = project(&self.output, join_heads(self.norm.forward(read, Some(gate))));
        (output, MultiScaleRetentionState { memory: state.memory, convolutions, position: after })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_attention_report(time, &LinearAttentionOptions::default(), device)
    }
}
