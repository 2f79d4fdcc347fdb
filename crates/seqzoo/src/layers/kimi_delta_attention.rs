//! Kimi delta attention: the delta rule in a memory whose key channels fade one by one.

use crate::ops::Decay;
use crate::parts::{
    ConvStates, DecayGate, DeltaHeads, DeltaLayout, DeltaOptions, GateActivation, ProjectionInit,
    biased_projection, project, projection,
};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

crate::layer!(KimiDeltaAttention, "kimi_delta_attention", KimiDeltaAttentionConfig);

/// The range of the rates initially.
const RATES: (f64, f64) = (1.0, 16.0);

/// Configuration of [`KimiDeltaAttention`].
#[derive(Config, Debug)]
pub struct KimiDeltaAttentionConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads of queries and keys. Default: `16`.
    #[config(default = 16)]
    pub num_heads: usize,
    /// Heads of values, each with a memory, a multiple of `num_heads`. Default: `None`, as many as key heads.
    pub num_v_heads: Option<usize>,
    /// Key channels per head, whatever `d_model` is. Default: `128`.
    #[config(default = 128)]
    pub head_dim: usize,
    /// Value channels per head, as a multiple of `head_dim`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_v: f64,
    /// Taps of the short convolutions after the query, key and value projections, at least 2. `None`: `silu`
    /// without a convolution. Default: `Some(4)`.
    #[config(default = "Some(4)")]
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// Whether beta reaches 2 instead of 1, so that a token can flip the sign of what it finds (Grazzi et al.
    /// 2024, <https://arxiv.org/abs/2411.12537>). Default: `false`.
    #[config(default = false)]
    pub allow_neg_eigval: bool,
    /// Log decays are at least this, by a sigmoid instead of the softplus (-5 is usual). Default: `None`, no
    /// bound.
    pub lower_bound: Option<f64>,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl KimiDeltaAttentionConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads or channels, the value heads are no multiple of the key heads, `expand_v` makes no whole
    /// number of channels, a convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<KimiDeltaAttention, ConfigError> {
        self.checked(|| {
            let layout = DeltaLayout::of_heads(
                Self::KIND,
                self.d_model,
                self.num_heads,
                self.num_v_heads,
                self.head_dim,
                self.expand_v,
            )?;
            let options = DeltaOptions {
                conv_size: self.conv_size,
                conv_bias: self.conv_bias,
                use_beta: true,
                allow_neg_eigval: self.allow_neg_eigval,
                norm_epsilon: self.norm_epsilon,
                initializer: self.initializer,
            };
            let mut heads = DeltaHeads::try_init(Self::KIND, self.d_model, layout, options, device)?;
            heads.norm = heads.norm.with_activation(GateActivation::Sigmoid);
            let decay_gate = DecayGate::new(layout.heads, layout.key, RATES, device);
            let linear = |from, to| projection(from, to, self.initializer, device);
            let rank = layout.value;
            Ok(KimiDeltaAttention {
                heads,
                decay_down: linear(self.d_model, rank),
                decay_up: linear(rank, layout.heads * layout.key),
                decay_gate: match self.lower_bound {
                    Some(lower_bound) => decay_gate.bounded(Self::KIND, lower_bound, device)?,
                    None => decay_gate,
                },
                gate_down: linear(self.d_model, rank),
                gate_up: biased_projection(rank, layout.width(), self.initializer, device),
            })
        })
    }
}

/// Kimi delta attention: every key channel of every token says how much of the past it keeps, and then the token
/// replaces what is left under its key.
///
/// ```text
/// S_t = (I − β_t k_t k_tᵀ) diag(exp(g_t)) S_{t-1} + β_t k_t v_tᵀ        β_t = σ(W_β x_t)
/// g_t = −A softplus(W₂ W₁ x_t + dt_bias)
/// y_t = W_o ( RMSNorm(S_tᵀ q_t / √K) ⊙ σ(W₄ W₃ x_t + b) )
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution and `silu`, and `q` and `k` are
///   divided by their length,
/// * `A` is a learned rate per value head and `dt_bias` a learned bias per value head and key channel, see
///   [`DecayGate`]; `A` is uniform in (1, 16) initially,
/// * with `lower_bound` the decay is `g_t = lower_bound · σ(A (W₂ W₁ x_t + dt_bias))`,
/// * `W₁` and `W₃` project to as many channels as a value head has,
/// * `β` is twice that with `allow_neg_eigval`,
/// * value head `j` reads and writes with key head `j / (H / HK)`,
/// * the norm works on each head by itself.
///
/// The state is `S`, `4·H·K·V` bytes per sequence for `H` value heads, and the last inputs of the convolutions.
///
/// Source: Kimi Team 2025, <https://arxiv.org/abs/2510.26692> (sec. 3 and 4).
///
/// Should be created with [`KimiDeltaAttentionConfig`].
#[derive(Module, Debug)]
pub struct KimiDeltaAttention {
    /// The projections, convolutions and norm of the heads.
    pub heads: DeltaHeads,
    /// `W₁`, `D` to `V`.
    pub decay_down: Linear,
    /// `W₂`, `V` to `H·K`.
    pub decay_up: Linear,
    /// `A` and `dt_bias`.
    pub decay_gate: DecayGate,
    /// `W₃`, `D` to `V`.
    pub gate_down: Linear,
    /// `W₄` and `b`, `V` to `H·V`.
    pub gate_up: Linear,
}

crate::state! {
    /// State of [`KimiDeltaAttention`].
    pub struct KimiDeltaAttentionState of KimiDeltaAttention {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

super::delta_mixer::delta_mixer!(KimiDeltaAttention, KimiDeltaAttentionState);

impl KimiDeltaAttention {
    /// The log decays `[B, T, H, K]`.
    fn log_decay(&self, input: Tensor<3>) -> Tensor<4> {
        self.decay_gate.forward(project(&self.decay_up, project(&self.decay_down, input)))
    }

    /// How the memory fades, and what gates the outputs.
    fn decay_and_gate(&self, input: &Tensor<3>) -> (Decay, Option<Tensor<3>>) {
        let gate = project(&self.gate_up, project(&self.gate_down, input.clone()));
        (Decay::Vector(self.log_decay(input.clone())), Some(gate))
    }
}
