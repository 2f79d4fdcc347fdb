//! Based as published: short convolutions, with a linear attention and a small window of attention now and then.

use super::block::NormKind;
use super::config::LanguageModelConfig;
use super::feed_forward::ChannelMixerConfig;
use crate::MixerConfig;
use crate::layers::{GatedConvConfig, LinearAttentionConfig, SoftmaxAttentionConfig};
use crate::parts::ProjectionInit;

/// Heads of both attentions.
const HEADS: usize = 16;

/// Tokens that a token of the window attention sees: 128 before it, and itself.
const WINDOW: usize = 129;

/// What published models draw their projections from.
const INITIALIZER: ProjectionInit = ProjectionInit::Normal { std: 0.02 };

impl LanguageModelConfig {
    /// Based with 363 million parameters, 27 layers of 1024 channels: [`based`](Self::based) of these. The published vocabulary is
    /// GPT-2's, 50,257 tokens, padded to 50,264.
    pub fn based_360m(vocab_size: usize) -> Self {
        Self::based(vocab_size, 1024, 27)
    }

    /// Based with 1,349 million parameters, 36 layers of 1792 channels, of which the seven pairs of attentions begin at
    /// the layers 1, 6, 11, 16, 21, 27 and 33.
    pub fn based_1b(vocab_size: usize) -> Self {
        Self::based_with(vocab_size, 1792, 36, &[1, 6, 11, 16, 21, 27, 33])
    }

    /// Based, for any size: every five layers are a [gated short convolution](crate::layers::GatedConv), a [linear
    /// attention](crate::layers::LinearAttention) with the Taylor expansion of the exponential, a softmax attention to a small
    /// window, and two more convolutions; a rest of fewer layers than three is convolutions. Every mixer is followed by a gated
    /// feed-forward of `2 · d_model` channels.
    ///
    /// All is as in the authors' program:
    ///
    /// * convolutions of 3 taps over `2 · d_model` channels, `silu`, a gate, biased projections,
    /// * 16 heads of 16 key channels in the linear attention, whose features are 153; normalised, without positions,
    /// * 16 heads in the window attention, with rotary positions. A token sees 128 tokens before it and itself: the program
    ///   halves its `window_size` of 256,
    /// * root-mean-square norms (epsilon 1e-5), tied embeddings, projections drawn with a standard deviation of 0.02. The
    ///   program divides that of the projections back to the residual stream by `√(2 · num_layers)`, which is not done here.
    ///
    /// `d_model` must be a multiple of 32.
    ///
    /// Source: Arora et al. 2024, <https://arxiv.org/abs/2402.18668>, and the authors' program.
    pub fn based(vocab_size: usize, d_model: usize, num_layers: usize) -> Self {
        let linear: Vec<usize> = (1..num_layers.saturating_sub(1)).step_by(5).collect();
        Self::based_with(vocab_size, d_model, num_layers, &linear)
    }

    /// Based with linear attention at the layers `linear`, a window after each, and convolutions elsewhere.
    fn based_with(vocab_size: usize, d_model: usize, num_layers: usize, linear: &[usize]) -> Self {
        let layer = |index: usize| {
            if linear.contains(&index) {
                let attention = LinearAttentionConfig::based(d_model).with_num_heads(HEADS);
                MixerConfig::from(attention.with_initializer(INITIALIZER))
            } else if linear.iter().any(|before| before + 1 == index) {
                let attention = SoftmaxAttentionConfig::new(d_model).with_num_heads(HEADS);
                MixerConfig::from(attention.with_window(Some(WINDOW)).with_initializer(INITIALIZER))
            } else {
                MixerConfig::from(GatedConvConfig::new(d_model).with_initializer(INITIALIZER))
            }
        };
        Self::new(vocab_size, d_model, (0..num_layers).map(layer).collect())
            .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: d_model.saturating_mul(2) })
            .with_norm(NormKind::Rms)
            .with_norm_epsilon(1e-5)
            .with_tie_embeddings(true)
            .with_initializer(INITIALIZER)
    }
}
