//! Configuration.

use super::MixtureOfMemories;
use super::rule::{MemoryRule, RuleParameters};
use crate::config::{check_channels, check_numbers};
use crate::parts::{
    GatedRmsNorm, HeadLayout, ProjectionInit, Router, ShortConvConfig, ShortConvs, check_heads, projection,
};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::tensor::Device;

/// More memories than this are taken for a mistake.
const MAX_MEMORIES: usize = 4096;

/// What the short convolutions of a [`MixtureOfMemories`] work on.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum ConvolutionPlace {
    /// The input, before its tokens are sorted: one convolution over the original sequence, without an activation.
    Sequence,
    /// The queries, keys and values of every memory, over the tokens that went to it: as published models do it when
    /// they do not train. The convolutions have the same taps for all memories, and end in `silu`.
    Memory,
}

/// Configuration of [`MixtureOfMemories`].
#[derive(Config, Debug)]
pub struct MixtureOfMemoriesConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads of every memory. Default: `4`.
    #[config(default = 4)]
    pub num_heads: usize,
    /// Key channels per head, whatever `d_model` is. Default: `256`.
    #[config(default = 256)]
    pub head_dim: usize,
    /// Value channels per head, as a multiple of `head_dim`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_v: f64,
    /// Memories that tokens are sent to. Default: `4`.
    #[config(default = 4)]
    pub num_memories: usize,
    /// Memories that every token goes to. Default: `2`.
    #[config(default = 2)]
    pub top_k: usize,
    /// Whether there is one more memory, which every token goes to. Default: `true`.
    #[config(default = true)]
    pub shared_memory: bool,
    /// Whether all memories but the shared one have the same projections. Default: `false`.
    #[config(default = false)]
    pub single_projection: bool,
    /// How each memory is written and read. Default: [`MemoryRule::GatedDeltaRule`].
    #[config(default = "MemoryRule::GatedDeltaRule")]
    pub rule: MemoryRule,
    /// Taps of the short convolutions, at least 2. `None`: there are none. Default: `Some(4)`.
    #[config(default = "Some(4)")]
    pub conv_size: Option<usize>,
    /// What they work on. Default: [`ConvolutionPlace::Sequence`].
    #[config(default = "ConvolutionPlace::Sequence")]
    pub conv_place: ConvolutionPlace,
    /// Whether they have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// Whether the output passes a gate. Default: `true`.
    #[config(default = true)]
    pub output_gate: bool,
    /// Multiplies the load-balancing loss. Default: `0.01`.
    #[config(default = 0.01)]
    pub balance: f64,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl MixtureOfMemoriesConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads, channels or memories, tokens go to none or to more than there are, `expand_v` makes no whole
    /// number of channels, a convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<MixtureOfMemories, ConfigError> {
        self.checked(|| {
            let layout = self.layout()?;
            self.check()?;
            let Self { d_model, num_memories, initializer, .. } = *self;
            let [keys, values] = [layout.heads * layout.key, layout.heads * layout.value];
            let (projections, tokens) =
                (if self.single_projection { 1 } else { num_memories }, keys + values);
            let into = |to| projection(d_model, to, initializer, device);
            let memory = || into(tokens + self.rule.extra(layout.heads));
            let sequence = self.conv_size.filter(|_| self.conv_place == ConvolutionPlace::Sequence);
            let conv = sequence.map(|width| {
                let conv = ShortConvConfig::new(d_model).with_width(width).with_bias(self.conv_bias);
                conv.with_activation(false).try_init(device)
            });
            let each = self.conv_size.filter(|_| self.conv_place == ConvolutionPlace::Memory);
            Ok(MixtureOfMemories {
                router: Router::new(d_model, num_memories, self.top_k, initializer, device),
                query: into(keys),
                memories: (0..projections).map(|_| memory()).collect(),
                shared: self.shared_memory.then(memory),
                rule: RuleParameters::new(self.rule, layout, initializer, device),
                conv: conv.transpose()?,
                convolutions: ShortConvs::try_init([keys, keys, values], each, self.conv_bias, device)?,
                norm: GatedRmsNorm::new(layout.value, self.norm_epsilon, device),
                gate: self.output_gate.then(|| into(values)),
                output: initializer.output_projection(values, d_model, device),
                layout,
                balance: self.balance,
            })
        })
    }

    fn layout(&self) -> Result<HeadLayout, ConfigError> {
        let Self { d_model, num_heads: heads, head_dim: key, expand_v, .. } = *self;
        check_heads(Self::KIND, d_model, heads, heads)?;
        let wide = key as f64 * expand_v;
        let value = wide.round() as usize;
        let whole = wide.is_finite() && (wide - value as f64).abs() <= 1e-5 * wide;
        ConfigError::unless(whole && value > 0, Self::KIND, || {
            format!(
                "expand_v = {expand_v} makes {wide} value channels of head_dim = {key}, but a whole number of at least \
                 1 is wanted"
            )
        })?;
        for (name, width) in [("key", key), ("value", value)] {
            let all = heads.saturating_mul(width);
            check_channels(Self::KIND, &format!("the number of {name} channels of all heads"), all)?;
        }
        Ok(HeadLayout { heads, key_value_heads: heads, key, value })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { num_memories, top_k, balance, .. } = *self;
        ConfigError::unless((1..=MAX_MEMORIES).contains(&num_memories), Self::KIND, || {
            format!("num_memories = {num_memories}, but from 1 to {MAX_MEMORIES} memories are wanted")
        })?;
        ConfigError::unless((1..=num_memories).contains(&top_k), Self::KIND, || {
            format!(
                "top_k = {top_k}, but every token goes to at least 1 and at most num_memories = {num_memories}"
            )
        })?;
        ConfigError::unless(balance.is_finite() && balance >= 0.0, Self::KIND, || {
            format!("balance = {balance}, but a finite number of at least 0 is wanted")
        })?;
        self.initializer.check(Self::KIND)?;
        ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
        let HeadLayout { heads, key, value, .. } = self.layout()?;
        let extents = [num_memories + usize::from(self.shared_memory), heads, key, value];
        check_numbers(Self::KIND, "the state of each sequence", &extents).map(|_| ())
    }
}
