//! Landmark attention: attention to blocks of tokens, of which landmarks say how much is read.

mod config;
mod retrieval;
mod state;

pub use config::LandmarkAttentionConfig;
pub use retrieval::{BlockCounts, LandmarkChoice, LandmarkStore, RetrievalConfig};
pub use state::LandmarkAttentionState;

use crate::SequenceMixer;
use crate::ops::attention::landmark::{LandmarkOptions, landmark_attention, landmark_attention_report};
use crate::ops::{Report, accumulator};
use crate::parts::{Rotary, join_heads, project, split_heads};
use crate::state::advanced;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(LandmarkAttention, "landmark_attention", LandmarkAttentionConfig);

/// Multi-head causal softmax attention in two levels: a landmark per block of tokens, and the tokens in the block.
///
/// ```text
/// s_ij = q_iᵀ k_j / √d
/// top  = softmax of s_ij over the tokens j ≤ i of the block of i, and the landmarks of earlier blocks
/// p_ij = top_j                                   j in the block of i
/// p_ij = top_l · softmax_j(s_ij over the block of l)        j in an earlier block, l its landmark
/// y_i  = W_o Σ_j p_ij v_j
/// ```
///
/// Where
///
/// * every `block`-th token of a sequence is the landmark of the tokens since the one before: the token at position `p` with
///   `(p + 1) % block = 0`. Positions are counted from the last reset,
/// * `q`, `k`, `v` are projections of the input, `q` and `k` rotated by their positions (optional),
/// * query head `h` reads key and value head `h / (heads / key_value_heads)`,
/// * landmarks are not read themselves.
///
/// What stands in the landmarks' places is the caller's: a
/// [`LanguageModel`](crate::models::LanguageModel) inserts tokens of its own there, with
/// [`landmark_every`](crate::models::LanguageModelConfig::landmark_every).
///
/// The state is the cache of keys and values: `8·HK·d + 1` bytes per token and sequence. Tokens before a reset of every
/// sequence leave it.
///
/// Source: Mohtashami and Jaggi 2023, <https://arxiv.org/abs/2305.16300> (sec. 3); grouped heads: Ainslie et al. 2023,
/// <https://arxiv.org/abs/2305.13245>.
///
/// Should be created with [`LandmarkAttentionConfig`].
#[derive(Module, Debug)]
pub struct LandmarkAttention {
    /// `D` to `H·d`.
    pub query: Linear,
    /// `D` to `HK·d`.
    pub key: Linear,
    /// `D` to `HK·d`.
    pub value: Linear,
    /// `H·d` to `D`.
    pub output: Linear,
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    block: usize,
    #[module(skip)]
    rotary: Option<Rotary>,
}

impl LandmarkAttention {
    /// Query, key and value of tokens `[B, T, D]`, without positions: `[B, T, H, d]` and twice `[B, T, HK, d]`.
    fn project(&self, input: Tensor<3>) -> [Tensor<4>; 3] {
        [
            split_heads(project(&self.query, input.clone()), self.heads),
            split_heads(project(&self.key, input.clone()), self.key_value_heads),
            split_heads(project(&self.value, input), self.key_value_heads),
        ]
    }
}

impl SequenceMixer for LandmarkAttention {
    type State = LandmarkAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let dtype = accumulator(self.query.weight.val().dtype());
        let shape = [batch, self.key_value_heads, self.head_dim];
        LandmarkAttentionState::new(shape, self.block, dtype, device)
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let (time, device) = (input.dims()[1], input.device());
        let position = advanced(state.position, time);
        let (landmarks, place) = state.landmarks(time, resets.as_ref());
        let LandmarkAttentionState { cache, position: first, block, .. } = state;
        let [mut query, mut key, value] = self.project(input);
        if let Some(rotary) = &self.rotary {
            let rotation = rotary.at(first, time, self.head_dim, query.dtype(), &device);
            (query, key) = (rotation.apply(query), rotation.apply(key));
        }
        let options = LandmarkOptions { initial_state: Some(cache), resets, ..Default::default() };
        let (read, cache) = landmark_attention(query, key, value, landmarks, options);
        (project(&self.output, join_heads(read)), LandmarkAttentionState { cache, place, position, block })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        landmark_attention_report(time, &LandmarkOptions::default(), device)
    }
}
