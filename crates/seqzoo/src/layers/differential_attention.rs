//! Differential attention: the difference of two softmax maps, which cancels what both attend to.

use crate::config::check_channels;
use crate::ops::attention::{AttentionOptions, AttentionState, attention, attention_report};
use crate::ops::{Report, accumulator, to_dtype};
use crate::parts::{
    ProjectionInit, RmsNorm, Rotary, RotaryLayout, check_heads, empty_cache, join_heads,
    map_cache_and_position, project, projection, split_heads,
};
use crate::state::{StateMapper, advanced};
use crate::{ConfigError, Layer, LayerConfig, MixerState, SequenceMixer};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(DifferentialAttention, "differential_attention", DifferentialAttentionConfig);

/// Configuration of [`DifferentialAttention`].
#[derive(Config, Debug)]
pub struct DifferentialAttentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads, each of two maps: half of what a softmax attention of the same cost has. Default: `8`.
    #[config(default = 8)]
    pub num_heads: usize,
    /// Key and value heads, dividing `num_heads`. Default: `None`, as many as heads.
    pub num_kv_heads: Option<usize>,
    /// Channels of each map's queries and keys; values have twice as many. Default: `None`, `d_model / (2 · num_heads)`.
    pub head_dim: Option<usize>,
    /// The number of layers before this one, which sets λ_init to `0.8 − 0.6 exp(−0.3 · depth)`. Default: `None`, the
    /// constant 0.8, which the paper finds as good.
    pub depth: Option<usize>,
    /// Whether queries and keys carry rotary positions. Default: `true`.
    #[config(default = true)]
    pub rotary: bool,
    /// The base of the rotary angles. Default: `10000.0`.
    #[config(default = 10000.0)]
    pub rotary_base: f64,
    /// The epsilon of the norm of each head's output. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl DifferentialAttentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, or rotary positions are asked for with an odd head.
    pub fn try_init(&self, device: &Device) -> Result<DifferentialAttention, ConfigError> {
        self.checked(|| {
            let heads = self.num_heads;
            let key_value_heads = self.num_kv_heads.unwrap_or(heads);
            check_heads(Self::KIND, self.d_model, heads, key_value_heads)?;
            let maps = heads.saturating_mul(2);
            let head_dim = match self.head_dim {
                Some(head_dim) => head_dim,
                None => {
                    ConfigError::unless(self.d_model.is_multiple_of(maps), Self::KIND, || {
                        format!(
                            "the {maps} maps of num_heads = {heads} do not divide d_model = {}; change one, or set head_dim",
                            self.d_model
                        )
                    })?;
                    self.d_model / maps
                }
            };
            ConfigError::unless(head_dim > 0, Self::KIND, || {
                "head_dim is 0; give it at least 1 channel".into()
            })?;
            let width = maps.saturating_mul(head_dim);
            check_channels(Self::KIND, "the number of channels of all heads", width)?;
            let rotary = match self.rotary {
                true => {
                    let rotary = Rotary::new(Self::KIND, self.rotary_base, head_dim)?;
                    Some(rotary.with_layout(RotaryLayout::Interleaved))
                }
                false => None,
            };
            self.initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let input = |width| projection(self.d_model, width, self.initializer, device);
            let lambda = || Initializer::Normal { mean: 0.0, std: 0.1 }.init([head_dim], device);
            Ok(DifferentialAttention {
                query: input(width),
                key: input(key_value_heads * 2 * head_dim),
                value: input(key_value_heads * 2 * head_dim),
                output: self.initializer.output_projection(width, self.d_model, device),
                lambda_q1: lambda(),
                lambda_k1: lambda(),
                lambda_q2: lambda(),
                lambda_k2: lambda(),
                norm: RmsNorm::new(2 * head_dim, self.norm_epsilon, device),
                heads,
                key_value_heads,
                head_dim,
                lambda_init: self.depth.map_or(0.8, |depth| 0.8 - 0.6 * (-0.3 * depth as f64).exp()),
                rotary,
            })
        })
    }
}

/// Multi-head causal differential attention.
///
/// ```text
/// A¹, A² = softmax(q¹ k¹ᵀ / √d), softmax(q² k²ᵀ / √d)        causal
/// λ      = exp(λ_q1 · λ_k1) − exp(λ_q2 · λ_k2) + λ_init
/// o      = (1 − λ_init) · RMSNorm((A¹ − λ A²) v)
/// y      = W_o o
/// ```
///
/// Where
///
/// * every head has two queries and two keys of `d` channels and one value of `2·d`, projections of the input; queries and
///   keys are rotated by their positions (optional), in interleaved pairs,
/// * `λ` is one number for all heads, `λ_q1`, `λ_k1`, `λ_q2` and `λ_k2` are learned vectors of `d` channels,
/// * with grouped heads the `2·H` queries read the `2·HK` keys in groups of `H/HK`, as the authors' program has it: for an
///   even `H/HK` both maps of a head read the same key.
///
/// Both maps are one call of [`attention`](crate::ops::attention::attention): the two keys of a head lie side by side, and
/// each query has zeros where the other key is, so that the maps share one cache. The zeros make the products a third
/// larger.
///
/// The state is the cache of keys and values: `16·HK·d` bytes per token and sequence, as much as softmax attention of `HK`
/// heads of `2·d` channels. Tokens before a reset of every sequence leave it.
///
/// Source: Ye et al. 2024, <https://arxiv.org/abs/2410.05258> (eq. 1 to 3).
///
/// Should be created with [`DifferentialAttentionConfig`].
#[derive(Module, Debug)]
pub struct DifferentialAttention {
    /// `D` to `2·H·d`: the two queries of each head in succession.
    pub query: Linear,
    /// `D` to `2·HK·d`.
    pub key: Linear,
    /// `D` to `HK·2·d`.
    pub value: Linear,
    /// `H·2·d` to `D`.
    pub output: Linear,
    /// `[d]`.
    pub lambda_q1: Param<Tensor<1>>,
    /// `[d]`.
    pub lambda_k1: Param<Tensor<1>>,
    /// `[d]`.
    pub lambda_q2: Param<Tensor<1>>,
    /// `[d]`.
    pub lambda_k2: Param<Tensor<1>>,
    /// The norm of each head's output, over `2·d` channels.
    pub norm: RmsNorm,
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    lambda_init: f64,
    #[module(skip)]
    rotary: Option<Rotary>,
}

/// State of [`DifferentialAttention`].
#[derive(Clone, Debug)]
pub struct DifferentialAttentionState {
    /// Keys (already rotated), the two of a head side by side, and values: `[B, S, HK, 2·d]` both.
    pub cache: AttentionState,
    /// How many tokens have passed.
    pub position: u64,
}

impl DifferentialAttention {
    /// How much of the second map is taken from the first, `[1]`.
    pub fn lambda(&self) -> Tensor<1> {
        let wide = |vector: &Param<Tensor<1>>| {
            let vector = vector.val();
            let dtype = accumulator(vector.dtype());
            to_dtype(vector, dtype)
        };
        let part = |query, key| (wide(query) * wide(key)).sum().exp();
        part(&self.lambda_q1, &self.lambda_k1) - part(&self.lambda_q2, &self.lambda_k2) + self.lambda_init
    }

    /// Queries `[B, T, 2·H, d]` as `[B, T, 2·H, 2·d]`, with zeros where the key of the other map lies.
    fn beside_zeros(&self, query: Tensor<4>) -> Tensor<4> {
        let [batch, time, maps, channels] = query.dims();
        let group = self.heads / self.key_value_heads;
        let rows = batch * time * self.key_value_heads;
        let query = query.reshape([rows, 2, group, channels]);
        let (first, second) = (query.clone().narrow(1, 0, 1), query.narrow(1, 1, 1));
        let first = Tensor::cat(vec![first.clone(), first.zeros_like()], 3);
        let second = Tensor::cat(vec![second.zeros_like(), second], 3);
        Tensor::cat(vec![first, second], 1).reshape([batch, time, maps, 2 * channels])
    }
}

impl SequenceMixer for DifferentialAttention {
    type State = DifferentialAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let dtype = accumulator(self.query.weight.val().dtype());
        let cache = empty_cache([batch, self.key_value_heads, 2 * self.head_dim], dtype, device);
        DifferentialAttentionState { cache, position: 0 }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let ([batch, time, _], device) = (input.dims(), input.device());
        let position = advanced(state.position, time);
        let width = 2 * self.head_dim;
        let mut query = split_heads(project(&self.query, input.clone()), 2 * self.heads);
        let mut key = split_heads(project(&self.key, input.clone()), 2 * self.key_value_heads);
        let value = split_heads(project(&self.value, input), self.key_value_heads);
        if let Some(rotary) = &self.rotary {
            let rotation = rotary.at(state.position, time, self.head_dim, query.dtype(), &device);
            (query, key) = (rotation.apply(query), rotation.apply(key));
        }
        let key = key.reshape([batch, time, self.key_value_heads, width]);
        let options = AttentionOptions {
            initial_state: Some(state.cache),
            scale: Some((self.head_dim as f64).powf(-0.5)),
            resets,
            ..Default::default()
        };
        let (read, cache) = attention(self.beside_zeros(query), key, value, options);
        let maps = read.reshape([batch, time, self.heads, 2 * width]);
        let (first, second) = (maps.clone().narrow(3, 0, width), maps.narrow(3, width, width));
        let lambda = to_dtype(self.lambda(), second.dtype()).unsqueeze::<4>();
        let read = self.norm.forward(first - second * lambda).mul_scalar(1.0 - self.lambda_init);
        (project(&self.output, join_heads(read)), DifferentialAttentionState { cache, position })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        attention_report(time, &AttentionOptions::default(), device)
    }
}

// Not declared by `state!`, as its fields must fit each other.
impl MixerState for DifferentialAttentionState {
    fn layer(&self) -> String {
        DifferentialAttention::KIND.into()
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        let (cache, position) = map_cache_and_position(self.cache, self.position, mapper);
        Self { cache, position }
    }
}
