//! Softmax attention: the layer that forgets nothing, and what that costs.

use crate::config::check_channels;
use crate::ops::attention::{AttentionOptions, AttentionState, Prefix, attention, attention_report};
use crate::ops::{Report, accumulator};
use crate::parts::{
    ProjectionInit, Rotary, biased_projection, check_heads, empty_cache, join_heads, map_cache_and_position,
    projection, split_heads,
};
use crate::state::{StateMapper, advanced};
use crate::{ConfigError, Layer, LayerConfig, MixerState, SequenceMixer};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(SoftmaxAttention, "softmax_attention", SoftmaxAttentionConfig);

/// Configuration of [`SoftmaxAttention`].
#[derive(Config, Debug)]
pub struct SoftmaxAttentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Query heads. Default: `8`.
    #[config(default = 8)]
    pub num_heads: usize,
    /// Key and value heads, dividing `num_heads`. Default: `None`, as many as query heads.
    pub num_kv_heads: Option<usize>,
    /// Channels per head. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// How many tokens each token sees, itself included. Default: `None`, all earlier ones.
    pub window: Option<usize>,
    /// Learned keys and values that every token sees, whatever the window and the resets are. Default: `0`.
    #[config(default = 0)]
    pub num_persistent: usize,
    /// Whether queries and keys carry rotary positions. Default: `true`.
    #[config(default = true)]
    pub rotary: bool,
    /// The base of the rotary angles. Default: `10000.0`.
    #[config(default = 10000.0)]
    pub rotary_base: f64,
    /// Whether the query, key and value projections have biases. Default: `false`.
    #[config(default = false)]
    pub qkv_bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl SoftmaxAttentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, the window is 0, or rotary positions are asked for
    /// with an odd head.
    pub fn try_init(&self, device: &Device) -> Result<SoftmaxAttention, ConfigError> {
        self.checked(|| {
            let heads = self.num_heads;
            let key_value_heads = self.num_kv_heads.unwrap_or(heads);
            check_heads(Self::KIND, self.d_model, heads, key_value_heads)?;
            let head_dim = match self.head_dim {
                Some(head_dim) => head_dim,
                None => {
                    ConfigError::unless(self.d_model.is_multiple_of(heads), Self::KIND, || {
                        format!(
                            "num_heads = {heads} does not divide d_model = {}; change one, or set head_dim",
                            self.d_model
                        )
                    })?;
                    self.d_model / heads
                }
            };
            ConfigError::unless(head_dim > 0, Self::KIND, || {
                "head_dim is 0; give it at least 1 channel".into()
            })?;
            check_channels(
                Self::KIND,
                "the number of channels of all heads",
                heads.saturating_mul(head_dim),
            )?;
            ConfigError::unless(self.window != Some(0), Self::KIND, || {
                "window = 0, but at least 1 is wanted: a token sees itself".into()
            })?;
            let rotary = match self.rotary {
                true => Some(Rotary::new(Self::KIND, self.rotary_base, head_dim)?),
                false => None,
            };
            self.initializer.check(Self::KIND)?;
            let persistent = (self.num_persistent > 0).then(|| {
                let normal = Initializer::Normal { mean: 0.0, std: 1.0 };
                let draw = || normal.init([self.num_persistent, key_value_heads, head_dim], device);
                PersistentTokens { keys: draw(), values: draw() }
            });
            let into = if self.qkv_bias { biased_projection } else { projection };
            let input = |width| into(self.d_model, width, self.initializer, device);
            Ok(SoftmaxAttention {
                query: input(heads * head_dim),
                key: input(key_value_heads * head_dim),
                value: input(key_value_heads * head_dim),
                output: self.initializer.output_projection(heads * head_dim, self.d_model, device),
                heads,
                key_value_heads,
                head_dim,
                persistent,
                window: self.window,
                rotary,
            })
        })
    }
}

/// Multi-head causal softmax attention.
///
/// ```text
/// o_i = Σ_j softmax_j(q_iᵀ k_j / √d) v_j        over j ≤ i, and i − j < window
/// y_i = W_o o_i
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, `q` and `k` rotated by their positions (optional),
/// * query head `h` reads key and value head `h / (heads / key_value_heads)`,
/// * with persistent tokens, learned keys and values without positions, every token sees these as well; its query has none
///   for them either, so that what it sees does not depend on where a sequence begins (titans-pytorch asks them with the
///   rotated query).
///
/// The state is the cache of keys and values: `8·HK·d` bytes per token and sequence, up to
/// `window - 1` tokens (at least 1) with a window. Tokens before a reset of every sequence leave it.
///
/// Source: Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>; grouped heads: Ainslie et al.
/// 2023, <https://arxiv.org/abs/2305.13245>; persistent tokens: Sukhbaatar et al. 2019,
/// <https://arxiv.org/abs/1907.01470>.
///
/// Should be created with [`SoftmaxAttentionConfig`].
#[derive(Module, Debug)]
pub struct SoftmaxAttention {
    /// `D` to `H·d`.
    pub query: Linear,
    /// `D` to `HK·d`.
    pub key: Linear,
    /// `D` to `HK·d`.
    pub value: Linear,
    /// `H·d` to `D`.
    pub output: Linear,
    /// Keys and values that every token sees, if there are any.
    pub persistent: Option<PersistentTokens>,
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    window: Option<usize>,
    #[module(skip)]
    rotary: Option<Rotary>,
}

/// Learned keys and values that every token sees: persistent memory.
#[derive(Module, Debug)]
pub struct PersistentTokens {
    /// `[N, HK, d]`.
    pub keys: Param<Tensor<3>>,
    /// `[N, HK, d]`.
    pub values: Param<Tensor<3>>,
}

impl PersistentTokens {
    /// As the operator takes them; `query` without positions, as they have none.
    fn prefix(&self, query: Tensor<4>) -> Prefix {
        Prefix {
            query: Some(query),
            keys: self.keys.val().unsqueeze(),
            values: self.values.val().unsqueeze(),
        }
    }
}

/// State of [`SoftmaxAttention`].
#[derive(Clone, Debug)]
pub struct SoftmaxAttentionState {
    /// Keys (already rotated) and values, of no tokens before the first one.
    pub cache: AttentionState,
    /// How many tokens have passed.
    pub position: u64,
}

impl SequenceMixer for SoftmaxAttention {
    type State = SoftmaxAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let dtype = accumulator(self.query.weight.val().dtype());
        let cache = empty_cache([batch, self.key_value_heads, self.head_dim], dtype, device);
        SoftmaxAttentionState { cache, position: 0 }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let (time, device) = (input.dims()[1], input.device());
        let position = advanced(state.position, time);
        let mut query = split_heads(self.query.forward(input.clone()), self.heads);
        let mut key = split_heads(self.key.forward(input.clone()), self.key_value_heads);
        let value = split_heads(self.value.forward(input), self.key_value_heads);
        let prefix = self.persistent.as_ref().map(|tokens| tokens.prefix(query.clone()));
        if let Some(rotary) = &self.rotary {
            let rotation = rotary.at(state.position, time, self.head_dim, query.dtype(), &device);
            (query, key) = (rotation.apply(query), rotation.apply(key));
        }
        let options = AttentionOptions {
            initial_state: Some(state.cache),
            window: self.window,
            prefix,
            resets,
            ..Default::default()
        };
        let (read, cache) = attention(query, key, value, options);
        (self.output.forward(join_heads(read)), SoftmaxAttentionState { cache, position })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        attention_report(time, &AttentionOptions { window: self.window, ..Default::default() }, device)
    }
}

// Not declared by `state!`, as its fields must fit each other.
impl MixerState for SoftmaxAttentionState {
    fn layer(&self) -> String {
        SoftmaxAttention::KIND.into()
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        let (cache, position) = map_cache_and_position(self.cache, self.position, mapper);
        Self { cache, position }
    }
}
