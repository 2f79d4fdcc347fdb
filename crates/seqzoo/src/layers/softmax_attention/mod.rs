//! Softmax attention: the layer that forgets nothing, and what that costs.

mod alibi;
mod config;
mod persistent;
mod state;

pub use config::{QkNorm, SoftmaxAttentionConfig};
pub use persistent::PersistentTokens;
pub use state::SoftmaxAttentionState;

use crate::SequenceMixer;
use crate::ops::attention::{AttentionOptions, attention, attention_report};
use crate::ops::token_wise::pointwise::log_sigmoid;
use crate::ops::{Form, Report, accumulator};
use crate::parts::{RmsNorm, Rotary, empty_cache, join_heads, project, project_all, split_heads};
use crate::state::advanced;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Tensor, TensorData};

crate::layer!(SoftmaxAttention, "softmax_attention", SoftmaxAttentionConfig);

/// Multi-head causal softmax attention.
///
/// ```text
/// s_ij = q_iᵀ k_j / √d + Σ_{j < l ≤ i} g_l
/// o_i  = Σ_j e^s_ij v_j / (e^sink + Σ_j e^s_ij)        over j ≤ i, and i − j < window
/// y_i  = W_o (o_i ⊙ σ(z_i))
/// ```
///
/// Where every term with an option is there only if the option is given, and
///
/// * `q`, `k`, `v` are projections of the input; `q` and `k` pass a norm over the channels of a head (optional) and are then
///   rotated by their positions (optional), in all channels or in the first ones,
/// * query head `h` reads key and value head `h / (heads / key_value_heads)`,
/// * `g` are log decays, at most 0, per head (optional): minus the slope of the head, which is ALiBi, or `ln σ(W_f x_l + b)`,
///   which is forgetting attention,
/// * `sink` is a learned score per head (optional), `z` a gate per channel, a projection of the input (optional),
/// * with persistent tokens, learned keys and values without positions, every token sees these as well; its query has none
///   for them either, so that what it sees does not depend on where a sequence begins (titans-pytorch asks them with the
///   rotated query). Decays and the norm of keys leave them alone.
///
/// The state is the cache of keys and values: `8·HK·d` bytes per token and sequence, with log decays `4·H` more, up to
/// `window - 1` tokens (at least 1) with a window. Tokens before a reset of every sequence leave it.
///
/// Source: Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>; grouped heads: Ainslie et al.
/// 2023, <https://arxiv.org/abs/2305.13245>; persistent tokens: Sukhbaatar et al. 2019,
/// <https://arxiv.org/abs/1907.01470>; norms of queries and keys: Dehghani et al. 2023, <https://arxiv.org/abs/2302.05442>;
/// the gate: Qiu et al. 2025, <https://arxiv.org/abs/2505.06708>; ALiBi: Press et al. 2021, <https://arxiv.org/abs/2108.12409>;
/// forgetting attention: Lin et al. 2025, <https://arxiv.org/abs/2503.02130>; sinks as learned scores: gpt-oss, OpenAI 2025,
/// <https://arxiv.org/abs/2508.10925>.
///
/// Should be created with [`SoftmaxAttentionConfig`].
#[derive(Module, Debug)]
pub struct SoftmaxAttention {
    /// `D` to `H·d`; with an output gate to `H·2·d`, for each head its query and its gate.
    pub query: Linear,
    /// `D` to `HK·d`.
    pub key: Linear,
    /// `D` to `HK·d`.
    pub value: Linear,
    /// `H·d` to `D`.
    pub output: Linear,
    /// The norm of each head's query, over `d` channels, if there is one.
    pub query_norm: Option<RmsNorm>,
    /// The norm of each head's key, over `d` channels, if there is one.
    pub key_norm: Option<RmsNorm>,
    /// `D` to `H`, the logits of the forget gate, if there is one.
    pub forget: Option<Linear>,
    /// `[H]`, a score per head without a value, if there are any.
    pub sinks: Option<Param<Tensor<1>>>,
    /// Keys and values that every token sees, if there are any.
    pub persistent: Option<PersistentTokens>,
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    window: Option<usize>,
    alibi: bool,
    output_gate: bool,
    /// The channels of a head that turn.
    turning: usize,
    #[module(skip)]
    rotary: Option<Rotary>,
}

impl SoftmaxAttention {
    /// The queries `[B, T, H, d]`, and the gates of what they read, of what is projected.
    fn queries(&self, projected: Tensor<3>) -> (Tensor<4>, Option<Tensor<4>>) {
        let asked = split_heads(projected, self.heads);
        let (query, gate) = match self.output_gate {
            false => (asked, None),
            true => {
                let half = |start| asked.clone().narrow(3, start, self.head_dim);
                (half(0), Some(half(self.head_dim)))
            }
        };
        (normed(query, self.query_norm.as_ref()), gate)
    }

    /// `[B, T, H]`, at most 0, where scores fall with the distance.
    fn log_decay(&self, input: &Tensor<3>) -> Option<Tensor<3>> {
        let wide = accumulator(input.dtype());
        if let Some(forget) = &self.forget {
            return Some(log_sigmoid(project(forget, input.clone()), 1.0, None, Form::Auto));
        }
        self.alibi.then(|| {
            let [batch, time, _] = input.dims();
            let slopes = TensorData::new(alibi::slopes(self.heads), [1, 1, self.heads]);
            let slopes = Tensor::<3>::from_data(slopes, (&input.device(), wide));
            slopes.neg().expand([batch, time, self.heads])
        })
    }
}

/// `tokens`, `[B, T, H, d]`, after the norm of each head, if there is one.
fn normed(tokens: Tensor<4>, norm: Option<&RmsNorm>) -> Tensor<4> {
    match norm {
        Some(norm) => norm.forward(tokens),
        None => tokens,
    }
}

impl SequenceMixer for SoftmaxAttention {
    type State = SoftmaxAttentionState;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let dtype = accumulator(self.query.weight.val().dtype());
        let mut cache = empty_cache([batch, self.key_value_heads, self.head_dim], dtype, device);
        if self.alibi || self.forget.is_some() {
            cache.log_decays = Some(Tensor::zeros([batch, 0, self.heads, 1], (device, dtype)).into());
        }
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
        let [asked, key, value] = project_all([&self.query, &self.key, &self.value], input.clone());
        let (mut query, gate) = self.queries(asked);
        let key = split_heads(key, self.key_value_heads);
        let mut key = normed(key, self.key_norm.as_ref());
        let log_decay = self.log_decay(&input);
        let value = split_heads(value, self.key_value_heads);
        let prefix = self.persistent.as_ref().map(|tokens| tokens.prefix(query.clone()));
        if let Some(rotary) = &self.rotary {
            let rotation = rotary.at(state.position, time, self.turning, query.dtype(), &device);
            (query, key) = (rotation.apply(query), rotation.apply(key));
        }
        let options = AttentionOptions {
            initial_state: Some(state.cache),
            window: self.window,
            log_decay,
            sinks: self.sinks.as_ref().map(Param::val),
            prefix,
            resets,
            ..Default::default()
        };
        let (mut read, cache) = attention(query, key, value, options);
        if let Some(gate) = gate {
            read = read * sigmoid(gate);
        }
        (project(&self.output, join_heads(read)), SoftmaxAttentionState { cache, position })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        attention_report(time, &AttentionOptions { window: self.window, ..Default::default() }, device)
    }
}
