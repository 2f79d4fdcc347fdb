//! The configuration of landmark attention.

use super::LandmarkAttention;
use crate::parts::{HeadLayout, ProjectionInit, Rotary, check_heads, check_tokens, head_width};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::tensor::Device;

/// Configuration of [`LandmarkAttention`].
#[derive(Config, Debug)]
pub struct LandmarkAttentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Query heads. Default: `8`.
    #[config(default = 8)]
    pub num_heads: usize,
    /// Key and value heads, dividing `num_heads`. Default: `None`, as many as query heads.
    pub num_kv_heads: Option<usize>,
    /// Channels per head. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// Tokens of a block, from 2 to 256, the last of which is its landmark. Default: `51`, 50 tokens and a landmark.
    #[config(default = 51)]
    pub block: usize,
    /// Whether queries and keys carry rotary positions. Default: `true`.
    #[config(default = true)]
    pub rotary: bool,
    /// The base of the rotary angles. Default: `10000.0`.
    #[config(default = 10000.0)]
    pub rotary_base: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl LandmarkAttentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, a block has fewer than 2 or more than 256 tokens, or rotary positions are
    /// asked for with an odd head.
    pub fn try_init(&self, device: &Device) -> Result<LandmarkAttention, ConfigError> {
        self.checked(|| {
            let key_value_heads = self.num_kv_heads.unwrap_or(self.num_heads);
            check_heads(Self::KIND, self.d_model, self.num_heads, key_value_heads)?;
            let head_dim = head_width(Self::KIND, self.d_model, self.num_heads, self.head_dim)?;
            check_tokens(Self::KIND, "block", self.block)?;
            ConfigError::unless(self.block > 1, Self::KIND, || {
                "block = 1, but at least 2 are wanted: a token and its landmark".into()
            })?;
            let rotary = match self.rotary {
                true => Some(Rotary::new(Self::KIND, self.rotary_base, head_dim)?),
                false => None,
            };
            self.initializer.check(Self::KIND)?;
            let layout =
                HeadLayout { heads: self.num_heads, key_value_heads, key: head_dim, value: head_dim };
            let [query, key, value] = layout.projections(self.d_model, self.initializer, device);
            Ok(LandmarkAttention {
                query,
                key,
                value,
                output: layout.output(self.d_model, self.initializer, device),
                heads: self.num_heads,
                key_value_heads,
                head_dim,
                block: self.block,
                rotary,
            })
        })
    }
}
