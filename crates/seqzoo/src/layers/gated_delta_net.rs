//! Gated DeltaNet: the delta rule in a memory that fades.

use crate::ops::Decay;
use crate::parts::{
    ConvStates, DeltaHeads, DeltaLayout, DeltaOptions, ProjectionInit, ScalarDecay, project, projection,
};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

crate::layer!(GatedDeltaNet, "gated_delta_net", GatedDeltaNetConfig);

/// Configuration of [`GatedDeltaNet`].
#[derive(Config, Debug)]
pub struct GatedDeltaNetConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads of queries and keys. Default: `6`.
    #[config(default = 6)]
    pub num_heads: usize,
    /// Heads of values, each with a memory, a multiple of `num_heads`. Default: `None`, as many as key heads.
    pub num_v_heads: Option<usize>,
    /// Key channels per head, whatever `d_model` is. Default: `256`.
    #[config(default = 256)]
    pub head_dim: usize,
    /// Value channels per head, as a multiple of `head_dim`. Default: `2.0`.
    #[config(default = 2.0)]
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
    /// Whether the output passes a gate. Default: `true`.
    #[config(default = true)]
    pub output_gate: bool,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl GatedDeltaNetConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads or channels, the value heads are no multiple of the key heads, `expand_v` makes no whole
    /// number of channels, a convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<GatedDeltaNet, ConfigError> {
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
            let gate = || projection(self.d_model, layout.width(), self.initializer, device);
            Ok(GatedDeltaNet {
                heads: DeltaHeads::try_init(Self::KIND, self.d_model, layout, options, device)?,
                decay: ScalarDecay::new(self.d_model, layout.heads, self.initializer, device),
                gate: self.output_gate.then(gate),
            })
        })
    }
}

/// Gated DeltaNet: the memory of each head fades by a learned factor per token, and then every token replaces what is
/// left under its key.
///
/// ```text
/// S_t = (I − β_t k_t k_tᵀ) exp(g_t) S_{t-1} + β_t k_t v_tᵀ        β_t = σ(W_β x_t)
/// g_t = −A softplus(W_a x_t + dt_bias)
/// y_t = W_o ( RMSNorm(S_tᵀ q_t / √K) ⊙ silu(W_g x_t) )
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution and `silu`, and `q` and `k` are
///   divided by their length,
/// * `A` is a learned rate per value head and `dt_bias` a learned bias, see
///   [`DecayGate`](crate::parts::DecayGate); `A` is uniform in (0, 16) initially,
/// * `β` is twice that with `allow_neg_eigval`,
/// * value head `j` reads and writes with key head `j / (H / HK)`,
/// * the norm works on each head by itself, and the gate after it is optional.
///
/// The state is `S`, `4·H·K·V` bytes per sequence for `H` value heads, and the last inputs of the convolutions.
///
/// With the published 6 heads of 256 channels the layer suits a `d_model` of 2048: `HK·K = 0.75·D` gives the layer
/// `6·D²` parameters.
///
/// Source: Yang et al. 2024, <https://arxiv.org/abs/2412.06464> (sec. 3.4).
///
/// Should be created with [`GatedDeltaNetConfig`].
#[derive(Module, Debug)]
pub struct GatedDeltaNet {
    /// The projections, convolutions and norm of the heads.
    pub heads: DeltaHeads,
    /// `W_a`, `A` and `dt_bias`.
    pub decay: ScalarDecay,
    /// `D` to `H·V`.
    pub gate: Option<Linear>,
}

crate::state! {
    /// State of [`GatedDeltaNet`].
    pub struct GatedDeltaNetState of GatedDeltaNet {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

super::delta_mixer::delta_mixer!(GatedDeltaNet, GatedDeltaNetState);

impl GatedDeltaNet {
    /// How the memory fades, and what gates the outputs.
    fn decay_and_gate(&self, input: &Tensor<3>) -> (Decay, Option<Tensor<3>>) {
        let gate = self.gate.as_ref().map(|gate| project(gate, input.clone()));
        (self.decay.forward(input.clone()), gate)
    }
}
