//! The configuration of softmax attention, and those of published models.

use super::{PersistentTokens, SoftmaxAttention};
use crate::config::check_channels;
use crate::parts::{
    ProjectionInit, RmsNorm, Rotary, RotaryScaling, biased_projection, check_heads, projection,
};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::nn::Initializer;
use burn::tensor::Device;

/// Which norm the queries and keys of each head pass before they are rotated.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum QkNorm {
    /// None.
    None,
    /// [`RmsNorm`] over the channels of a head, as in Qwen3.
    Rms,
    /// The same with a scale that is kept as what it is [more than 1](RmsNorm::zero_centred), as in Qwen3-Next.
    ZeroCentredRms,
}

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
    /// The share of each head's channels that turn, the first ones: an even number of them. Default: `1.0`.
    #[config(default = 1.0)]
    pub rotary_fraction: f64,
    /// How the rotary frequencies are changed for texts longer than those of training. Default: [`RotaryScaling::None`].
    #[config(default = "RotaryScaling::None")]
    pub rotary_scaling: RotaryScaling,
    /// Whether a score falls in proportion to the distance, in each head at a fixed rate; in place of rotary positions.
    /// Default: `false`.
    #[config(default = false)]
    pub alibi: bool,
    /// Whether a learned gate per token and head lowers the scores of all tokens before it. Default: `false`.
    #[config(default = false)]
    pub forget_gate: bool,
    /// Whether each head has a learned score without a value, so that a token may read less than a whole average.
    /// Default: `false`.
    #[config(default = false)]
    pub sinks: bool,
    /// The norm of the queries and keys of each head. Default: [`QkNorm::None`].
    #[config(default = "QkNorm::None")]
    pub qk_norm: QkNorm,
    /// The epsilon of that norm. Default: `1e-6`.
    #[config(default = 1e-6)]
    pub norm_epsilon: f64,
    /// Whether what each head reads is multiplied by the sigmoid of a gate per channel. Default: `false`.
    #[config(default = false)]
    pub output_gate: bool,
    /// Whether the query, key and value projections have biases. Default: `false`.
    #[config(default = false)]
    pub qkv_bias: bool,
    /// Whether the output projection has a bias. Default: `false`.
    #[config(default = false)]
    pub output_bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl SoftmaxAttentionConfig {
    /// The full attention of Qwen3-Next, with the numbers of its 80B model: 16 heads of 256 channels on 2 key and value
    /// heads, queries and keys normed, rotary positions of base 10⁷ on a quarter of the channels, and a gate before
    /// the output projection.
    ///
    /// In its checkpoints a row of `q_proj` is of a head's query or of its gate as in
    /// [`SoftmaxAttention::query`], and the weight of a norm is its
    /// [`gamma`](RmsNorm::zero_centred).
    ///
    /// Source: transformers, `Qwen3NextAttention`; the gate: Qiu et al. 2025, <https://arxiv.org/abs/2505.06708>.
    pub fn qwen3_next(d_model: usize) -> Self {
        Self::new(d_model)
            .with_num_heads(16)
            .with_num_kv_heads(Some(2))
            .with_head_dim(Some(256))
            .with_qk_norm(QkNorm::ZeroCentredRms)
            .with_output_gate(true)
            .with_rotary_base(1e7)
            .with_rotary_fraction(0.25)
    }

    /// The local attention of Griffin and RecurrentGemma, with the numbers of the 2B model: 10 heads of 256 channels on one
    /// key and value head, a window of 2,048 tokens, rotary positions on half of the channels, and a bias after the
    /// output projection.
    ///
    /// Source: transformers, `RecurrentGemmaSdpaAttention`; De et al. 2024, <https://arxiv.org/abs/2402.19427> (sec. 2.3).
    pub fn recurrent_gemma(d_model: usize) -> Self {
        Self::new(d_model)
            .with_num_heads(10)
            .with_num_kv_heads(Some(1))
            .with_head_dim(Some(256))
            .with_window(Some(2048))
            .with_rotary_fraction(0.5)
            .with_output_bias(true)
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, the window is 0, the channels that turn are no even number, a number of the
    /// rotary positions is out of its range, or two options contradict each other: `alibi` and rotary positions or a
    /// forget gate, or a fraction or scaling of rotary positions that there are none of.
    pub fn try_init(&self, device: &Device) -> Result<SoftmaxAttention, ConfigError> {
        self.checked(|| {
            let heads = self.num_heads;
            let key_value_heads = self.num_kv_heads.unwrap_or(heads);
            check_heads(Self::KIND, self.d_model, heads, key_value_heads)?;
            let head_dim = self.head_channels()?;
            ConfigError::unless(self.window != Some(0), Self::KIND, || {
                "window = 0, but at least 1 is wanted: a token sees itself".into()
            })?;
            self.check_positions()?;
            let turning = self.turning_channels(head_dim)?;
            let rotary = match self.rotary {
                true => Some(Rotary::new(Self::KIND, self.rotary_base, turning)?.with_scaling(
                    Self::KIND,
                    self.rotary_scaling,
                    turning,
                )?),
                false => None,
            };
            self.initializer.check(Self::KIND)?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let norm = || match self.qk_norm {
                QkNorm::None => None,
                QkNorm::Rms => Some(RmsNorm::new(head_dim, self.norm_epsilon, device)),
                QkNorm::ZeroCentredRms => Some(RmsNorm::zero_centred(head_dim, self.norm_epsilon, device)),
            };
            let persistent = (self.num_persistent > 0).then(|| {
                let normal = Initializer::Normal { mean: 0.0, std: 1.0 };
                let draw = || normal.init([self.num_persistent, key_value_heads, head_dim], device);
                PersistentTokens { keys: draw(), values: draw() }
            });
            let sinks = || Initializer::Normal { mean: 0.0, std: 0.02 }.init([heads], device);
            let into = if self.qkv_bias { biased_projection } else { projection };
            let input = |width| into(self.d_model, width, self.initializer, device);
            let asked = if self.output_gate { 2 * heads } else { heads };
            let output = match self.output_bias {
                true => self.initializer.biased_output_projection(heads * head_dim, self.d_model, device),
                false => self.initializer.output_projection(heads * head_dim, self.d_model, device),
            };
            let forget = || biased_projection(self.d_model, heads, self.initializer, device);
            Ok(SoftmaxAttention {
                query: input(asked * head_dim),
                key: input(key_value_heads * head_dim),
                value: input(key_value_heads * head_dim),
                output,
                query_norm: norm(),
                key_norm: norm(),
                forget: self.forget_gate.then(forget),
                sinks: self.sinks.then(sinks),
                persistent,
                heads,
                key_value_heads,
                head_dim,
                window: self.window,
                alibi: self.alibi,
                output_gate: self.output_gate,
                turning,
                rotary,
            })
        })
    }

    /// The channels of a head.
    fn head_channels(&self) -> Result<usize, ConfigError> {
        let (d_model, heads) = (self.d_model, self.num_heads);
        let head_dim = match self.head_dim {
            Some(head_dim) => head_dim,
            None => {
                ConfigError::unless(d_model.is_multiple_of(heads), Self::KIND, || {
                    format!(
                        "num_heads = {heads} does not divide d_model = {d_model}; change one, or set head_dim"
                    )
                })?;
                d_model / heads
            }
        };
        ConfigError::unless(head_dim > 0, Self::KIND, || "head_dim is 0; give it at least 1 channel".into())?;
        let width = heads.saturating_mul(head_dim);
        check_channels(Self::KIND, "the number of channels of all heads", width)?;
        Ok(head_dim)
    }

    /// Options about positions that contradict each other.
    fn check_positions(&self) -> Result<(), ConfigError> {
        ConfigError::unless(!(self.alibi && self.rotary), Self::KIND, || {
            "alibi = true, but rotary = true gives positions as well; set rotary = false".into()
        })?;
        ConfigError::unless(!(self.alibi && self.forget_gate), Self::KIND, || {
            "alibi = true and forget_gate = true both say how scores fall with the distance; choose one"
                .into()
        })?;
        ConfigError::unless(self.rotary || self.rotary_fraction == 1.0, Self::KIND, || {
            format!("rotary_fraction = {}, but rotary = false, so that nothing turns", self.rotary_fraction)
        })?;
        ConfigError::unless(self.rotary || self.rotary_scaling == RotaryScaling::None, Self::KIND, || {
            "rotary_scaling is given, but rotary = false, so that nothing turns".into()
        })
    }

    /// The channels of a head that turn.
    fn turning_channels(&self, head_dim: usize) -> Result<usize, ConfigError> {
        if self.rotary_fraction == 1.0 {
            return Ok(head_dim);
        }
        let turning = self.rotary_fraction * head_dim as f64;
        let whole = turning.round(); // 0.55 of 100 channels is no whole number in floats
        let even = (turning - whole).abs() < 1e-6 && whole % 2.0 == 0.0;
        let fits = even && whole > 0.0 && whole <= head_dim as f64;
        ConfigError::unless(fits, Self::KIND, || {
            format!(
                "rotary_fraction = {} turns {turning} of the {head_dim} channels of a head, but an even number of them, at \
                 least 2, is wanted",
                self.rotary_fraction
            )
        })?;
        Ok(whole as usize)
    }
}
