//! Sigmoid attention: every key is weighed by itself.

use crate::ops::attention::AttentionState;
use crate::ops::attention::sigmoid::{SigmoidAttentionOptions, sigmoid_attention, sigmoid_attention_to_all};
use crate::ops::{accumulator, checks};
use crate::parts::{
    ProjectionInit, Rotary, biased_projection, check_heads, empty_cache, head_width, join_heads,
    map_cache_and_position, project, projection, split_heads,
};
use crate::state::{StateMapper, advanced};
use crate::{ConfigError, Layer, LayerConfig, MixerState, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(SigmoidAttention, "sigmoid_attention", SigmoidAttentionConfig);

/// Configuration of [`SigmoidAttention`].
#[derive(Config, Debug)]
pub struct SigmoidAttentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads. Default: `8`.
    #[config(default = 8)]
    pub num_heads: usize,
    /// Channels per head. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// The number of tokens `n` of the sequences to train on, which sets the bias to `−log(n)`. Default: `2048`.
    #[config(default = 2048)]
    pub sequence_length: usize,
    /// Whether queries and keys pass a layer norm per head. Default: `false`.
    #[config(default = false)]
    pub qk_norm: bool,
    /// The epsilon of those norms. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// Whether queries and keys carry rotary positions. Default: `false`.
    #[config(default = false)]
    pub rotary: bool,
    /// The base of the rotary angles. Default: `10000.0`.
    #[config(default = 10000.0)]
    pub rotary_base: f64,
    /// Whether the projections have biases. Default: `false`.
    #[config(default = false)]
    pub bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl SigmoidAttentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, the sequence length is 0, or rotary positions are asked for with an odd
    /// head.
    pub fn try_init(&self, device: &Device) -> Result<SigmoidAttention, ConfigError> {
        self.checked(|| {
            let heads = self.num_heads;
            check_heads(Self::KIND, self.d_model, heads, heads)?;
            let head_dim = head_width(Self::KIND, self.d_model, heads, self.head_dim)?;
            ConfigError::unless(self.sequence_length > 0, Self::KIND, || {
                "sequence_length is 0; give it at least 1 token".into()
            })?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            self.initializer.check(Self::KIND)?;
            let rotary = match self.rotary {
                true => Some(Rotary::new(Self::KIND, self.rotary_base, head_dim)?),
                false => None,
            };
            let norm = || {
                let config = LayerNormConfig::new(head_dim).with_epsilon(self.norm_epsilon);
                self.qk_norm.then(|| config.init(device))
            };
            let into = if self.bias { biased_projection } else { projection };
            let input = || into(self.d_model, heads * head_dim, self.initializer, device);
            let output = match self.bias {
                true => self.initializer.biased_output_projection(heads * head_dim, self.d_model, device),
                false => self.initializer.output_projection(heads * head_dim, self.d_model, device),
            };
            Ok(SigmoidAttention {
                query: input(),
                key: input(),
                value: input(),
                output,
                query_norm: norm(),
                key_norm: norm(),
                heads,
                bias: -(self.sequence_length as f64).ln(),
                rotary,
            })
        })
    }
}

/// Multi-head causal sigmoid attention.
///
/// ```text
/// o_i = Σ_{j ≤ i} sigmoid(q_iᵀ k_j / √d − log n) v_j
/// y_i = W_o o_i
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input; `q` and `k` may pass a layer norm per head, and may be rotated by their
///   positions,
/// * `n` is the number of tokens that training sequences have, a constant of the layer: with it a whole row of weights has a
///   sum of about 1 initially, and early tokens have less.
///
/// No token takes weight from another, and nothing is divided by a sum over a row.
///
/// The state is the cache of keys and values: `8·H·d` bytes per token and sequence. Tokens before a reset of every sequence
/// leave it.
///
/// Source: Ramapuram et al. 2024, <https://arxiv.org/abs/2409.04431>.
///
/// Should be created with [`SigmoidAttentionConfig`].
#[derive(Module, Debug)]
pub struct SigmoidAttention {
    /// `D` to `H·d`.
    pub query: Linear,
    /// `D` to `H·d`.
    pub key: Linear,
    /// `D` to `H·d`.
    pub value: Linear,
    /// `H·d` to `D`.
    pub output: Linear,
    /// The norm of each head's query.
    pub query_norm: Option<LayerNorm>,
    /// The norm of each head's key.
    pub key_norm: Option<LayerNorm>,
    heads: usize,
    bias: f64,
    #[module(skip)]
    rotary: Option<Rotary>,
}

/// State of [`SigmoidAttention`].
#[derive(Clone, Debug)]
pub struct SigmoidAttentionState {
    /// Keys (already rotated) and values, of no tokens before the first one.
    pub cache: AttentionState,
    /// How many tokens have passed.
    pub position: u64,
}

impl SigmoidAttention {
    /// `[B, T, D]` to `[B, T, D]`, where every token sees every token of its sequence, later ones included: for encoders.
    ///
    /// It takes no state and returns none. What a token reads is not known before the last one has come, so that this form
    /// cannot be split, streamed, or stand in a [`LanguageModel`](crate::models::LanguageModel).
    ///
    /// # Panics
    ///
    /// If there are no tokens, or other channels than the layer's.
    #[track_caller]
    pub fn forward_to_all(&self, input: Tensor<3>) -> Tensor<3> {
        checks::not_empty("input", "time", input.dims()[1]);
        let [query, key, value] = self.projected(input, 0);
        let read = sigmoid_attention_to_all(query, key, value, None, self.bias);
        project(&self.output, join_heads(read))
    }

    /// Query, key and value of tokens of which the first stands at `position`, `[B, T, H, d]` each.
    #[track_caller]
    fn projected(&self, input: Tensor<3>, position: u64) -> [Tensor<4>; 3] {
        let (time, device) = (input.dims()[1], input.device());
        let heads = |linear: &Linear| split_heads(project(linear, input.clone()), self.heads);
        let normed = |tokens, norm: &Option<LayerNorm>| match norm {
            Some(norm) => norm.forward(tokens),
            None => tokens,
        };
        let mut query = normed(heads(&self.query), &self.query_norm);
        let mut key = normed(heads(&self.key), &self.key_norm);
        if let Some(rotary) = &self.rotary {
            let rotation = rotary.at(position, time, query.dims()[3], query.dtype(), &device);
            (query, key) = (rotation.apply(query), rotation.apply(key));
        }
        [query, key, heads(&self.value)]
    }
}

impl SequenceMixer for SigmoidAttention {
    type State = SigmoidAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let weight = self.key.weight.val();
        let shape = [batch, self.heads, weight.dims()[1] / self.heads];
        let cache = empty_cache(shape, accumulator(weight.dtype()), device);
        SigmoidAttentionState { cache, position: 0 }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let position = advanced(state.position, input.dims()[1]);
        let [query, key, value] = self.projected(input, state.position);
        let options = SigmoidAttentionOptions {
            initial_state: Some(state.cache),
            bias: self.bias,
            resets,
            ..Default::default()
        };
        let (read, cache) = sigmoid_attention(query, key, value, options);
        (project(&self.output, join_heads(read)), SigmoidAttentionState { cache, position })
    }
}

// Not declared by `state!`, as its fields must fit each other.
impl MixerState for SigmoidAttentionState {
    fn layer(&self) -> String {
        SigmoidAttention::KIND.into()
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        let (cache, position) = map_cache_and_position(self.cache, self.position, mapper);
        Self { cache, position }
    }
}
