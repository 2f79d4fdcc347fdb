//! Linear attention with a choice of feature maps.

use crate::config::check_numbers;
use crate::ops::linear_attention::{
    self as op, Decay, LinearAttentionOptions, linear_attention, linear_attention_report,
};
use crate::ops::{Report, accumulator, repeat_heads};
use crate::parts::{
    FeatureMap, FeatureMapKind, HeadLayout, ProjectionInit, RmsNorm, join_heads, project, project_all,
    split_heads,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(LinearAttention, "linear_attention", LinearAttentionConfig);

/// Configuration of [`LinearAttention`].
#[derive(Config, Debug)]
pub struct LinearAttentionConfig {
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
    /// Value channels of all heads, as a multiple of `d_model`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_v: f64,
    /// Channels per head before the feature map. Default: `None`, those that `expand_k` gives.
    pub feature_dim: Option<usize>,
    /// The feature map of queries and keys. Default: [`FeatureMapKind::ElementwiseProduct`].
    #[config(default = "FeatureMapKind::ElementwiseProduct")]
    pub feature_map: FeatureMapKind,
    /// Whether queries and keys share the parameters of the feature map. Default: `false`.
    #[config(default = false)]
    pub tie_feature_map: bool,
    /// Whether the output is divided by the query's product with the sum of all keys. Wants a positive
    /// feature map. Default: `false`.
    #[config(default = false)]
    pub normalise: bool,
    /// Added to the divisor. Default: `1e-10`.
    #[config(default = 1e-10)]
    pub normaliser_epsilon: f64,
    /// Whether the features of each query are divided by their sum (plus 1e-4). Default: `false`.
    #[config(default = false)]
    pub norm_q: bool,
    /// Whether the features of each key are divided by their sum (plus 1e-4). Default: `false`.
    #[config(default = false)]
    pub norm_k: bool,
    /// Multiplies the queries. Default: `None`, the number of features to the power −½.
    pub scale: Option<f64>,
    /// Whether each head's output passes a root-mean-square norm. Default: `true`.
    #[config(default = true)]
    pub output_norm: bool,
    /// The epsilon of that norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl LinearAttentionConfig {
    /// The linear attention of Based (Arora et al. 2024, <https://arxiv.org/abs/2402.18668>): a
    /// second-order Taylor map of 16 channels per head, normalised, without an output norm.
    pub fn based(d_model: usize) -> Self {
        Self::new(d_model)
            .with_num_heads(12)
            .with_feature_dim(Some(16))
            .with_feature_map(FeatureMapKind::Taylor)
            .with_normalise(true)
            .with_normaliser_epsilon(1e-12)
            .with_scale(Some(1.0))
            .with_output_norm(false)
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, or the feature map has no room.
    pub fn try_init(&self, device: &Device) -> Result<LinearAttention, ConfigError> {
        self.checked(|| {
            let Self { d_model, num_heads, num_kv_heads, expand_k, expand_v, .. } = *self;
            let layout = match self.feature_dim {
                None => {
                    HeadLayout::expanded(Self::KIND, d_model, num_heads, num_kv_heads, expand_k, expand_v)?
                }
                Some(0) => {
                    return Err(ConfigError::new(Self::KIND, "feature_dim is 0; give it at least 1 channel"));
                }
                Some(keys) => {
                    HeadLayout::of_keys(Self::KIND, d_model, num_heads, num_kv_heads, keys, expand_v)?
                }
            };
            self.initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            ConfigError::unless_finite(Self::KIND, "normaliser_epsilon", self.normaliser_epsilon)?;
            ConfigError::unless(self.scale.is_none_or(f64::is_finite), Self::KIND, || {
                "scale is not a finite number".into()
            })?;
            let features = self.feature_map.features(layout.key);
            check_numbers(Self::KIND, "the state of each sequence", &[layout.heads, features, layout.value])?;
            let [query, key, value] = layout.projections(self.d_model, self.initializer, device);
            let key_map = match self.tie_feature_map {
                true => None,
                false => Some(self.feature_map.try_init(layout.key, device)?),
            };
            Ok(LinearAttention {
                query,
                key,
                value,
                output: layout.output(self.d_model, self.initializer, device),
                query_map: self.feature_map.try_init(layout.key, device)?,
                key_map,
                norm: self.output_norm.then(|| RmsNorm::new(layout.value, self.norm_epsilon, device)),
                layout,
                features,
                norm_query: self.norm_q,
                norm_key: self.norm_k,
                scale: self.scale,
                normaliser: self.normalise.then_some(self.normaliser_epsilon),
            })
        })
    }
}

/// Linear attention: softmax attention with the exponential replaced by a product of features.
///
/// ```text
/// S_t = S_{t-1} + φ(k_t) v_tᵀ        z_t = z_{t-1} + φ(k_t)
/// o_t = scale · S_tᵀ φ(q_t)  [ / (scale · φ(q_t)ᵀ z_t + ε) ]
/// y_t = W_o norm(o_t)
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input and `φ` is a [feature map](FeatureMapKind),
/// * the division is optional (`normalise`), and so is the norm (`output_norm`),
/// * features may be divided by their own sum first (`norm_q`, `norm_k`).
///
/// The state is `S` and, where normalised, `z`: `4·H·K·(V + 1)` bytes per sequence with `K` features
/// per head, whatever the number of tokens.
///
/// Source: Katharopoulos et al. 2020, <https://arxiv.org/abs/2006.16236> (sec. 3.2 to 3.4).
///
/// Should be created with [`LinearAttentionConfig`].
#[derive(Module, Debug)]
pub struct LinearAttention {
    /// `D` to `H·d`.
    pub query: Linear,
    /// `D` to `HK·d`.
    pub key: Linear,
    /// `D` to `HK·V`.
    pub value: Linear,
    /// `H·V` to `D`.
    pub output: Linear,
    /// The feature map of the queries, and of the keys where they are tied.
    pub query_map: FeatureMap,
    /// The feature map of the keys.
    pub key_map: Option<FeatureMap>,
    /// The norm of each head's output.
    pub norm: Option<RmsNorm>,
    #[module(skip)]
    layout: HeadLayout,
    features: usize,
    norm_query: bool,
    norm_key: bool,
    scale: Option<f64>,
    normaliser: Option<f64>,
}

crate::state! {
    /// State of [`LinearAttention`].
    pub struct LinearAttentionState of LinearAttention {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The key sum `z`, `[B, H, K]`, where the layer normalises.
        pub key_sum: Option<Tensor<3>> as Recurrent,
    }
}

impl SequenceMixer for LinearAttention {
    type State = LinearAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let HeadLayout { heads, value, .. } = self.layout;
        let options = (device, accumulator(self.query.weight.val().dtype()));
        LinearAttentionState {
            memory: Tensor::zeros([batch, heads, self.features, value], options),
            key_sum: self.normaliser.map(|_| Tensor::zeros([batch, heads, self.features], options)),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let HeadLayout { heads, key_value_heads, .. } = self.layout;
        let [query, key, value] = project_all([&self.query, &self.key, &self.value], input);
        let query = self.query_map.forward(split_heads(query, heads));
        let key_map = self.key_map.as_ref().unwrap_or(&self.query_map);
        let key = key_map.forward(split_heads(key, key_value_heads));
        let query = if self.norm_query { over_sum(query) } else { query };
        let key = if self.norm_key { over_sum(key) } else { key };
        let value = split_heads(value, key_value_heads);
        let options = LinearAttentionOptions {
            initial_state: Some(op::LinearAttentionState { memory: state.memory, key_sum: state.key_sum }),
            scale: self.scale,
            normaliser: self.normaliser,
            resets,
            ..Default::default()
        };
        let (read, state) = linear_attention(
            query,
            repeat_heads(key, heads),
            repeat_heads(value, heads),
            Decay::None,
            options,
        );
        let read = match &self.norm {
            Some(norm) => norm.forward(read),
            None => read,
        };
        let state = LinearAttentionState { memory: state.memory, key_sum: state.key_sum };
        (project(&self.output, join_heads(read)), state)
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_attention_report(time, &LinearAttentionOptions::default(), device)
    }
}

/// Features divided by their sum: `φ / (Σ φ + 1e-4)`.
fn over_sum(features: Tensor<4>) -> Tensor<4> {
    let sum = features.clone().sum_dim(3).add_scalar(1e-4);
    features / sum
}
