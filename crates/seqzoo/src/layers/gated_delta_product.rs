//! Gated delta product: several steps of the delta rule per token.

use crate::ops::Decay;
use crate::parts::{
    ConvStates, DeltaHeads, DeltaLayout, DeltaOptions, ProjectionInit, ScalarDecay, project, projection,
};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

crate::layer!(GatedDeltaProduct, "gated_delta_product", GatedDeltaProductConfig);

/// Configuration of [`GatedDeltaProduct`].
#[derive(Config, Debug)]
pub struct GatedDeltaProductConfig {
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
    /// Steps per token, at least 1. Default: `2`.
    #[config(default = 2)]
    pub num_householder: usize,
    /// Taps of the short convolutions after the query, key and value projections, at least 2. `None`: `silu`
    /// without a convolution. Default: `Some(4)`.
    #[config(default = "Some(4)")]
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// Whether beta reaches 2 instead of 1, so that a token can flip the sign of what it finds (Grazzi et al.
    /// 2024, <https://arxiv.org/abs/2411.12537>). Default: `true`.
    #[config(default = true)]
    pub allow_neg_eigval: bool,
    /// Whether the memory fades. Default: `true`.
    #[config(default = true)]
    pub forget_gate: bool,
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

impl GatedDeltaProductConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads, channels or steps, the value heads are no multiple of the key heads, `expand_v` makes no
    /// whole number of channels, a convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<GatedDeltaProduct, ConfigError> {
        self.checked(|| {
            let layout = DeltaLayout::of_heads(
                Self::KIND,
                self.d_model,
                self.num_heads,
                self.num_v_heads,
                self.head_dim,
                self.expand_v,
            )?;
            let steps = self.num_householder;
            ConfigError::unless(steps > 0, Self::KIND, || "num_householder is 0; give it at least 1".into())?;
            let layout = DeltaLayout { steps, ..layout };
            let options = DeltaOptions {
                conv_size: self.conv_size,
                conv_bias: self.conv_bias,
                use_beta: true,
                allow_neg_eigval: self.allow_neg_eigval,
                norm_epsilon: self.norm_epsilon,
                initializer: self.initializer,
            };
            let decay = || ScalarDecay::new(self.d_model, layout.heads, self.initializer, device);
            let gate = || projection(self.d_model, layout.width(), self.initializer, device);
            Ok(GatedDeltaProduct {
                heads: DeltaHeads::try_init(Self::KIND, self.d_model, layout, options, device)?,
                decay: self.forget_gate.then(decay),
                gate: self.output_gate.then(gate),
            })
        })
    }
}

/// Gated delta product: the memory of each head fades by a learned factor per token, and then the token writes several
/// times, each time by the delta rule with a key of its own.
///
/// ```text
/// S_t^0 = exp(g_t) S_{t-1}
/// S_t^n = (I − β_t^n k_t^n k_t^nᵀ) S_t^{n-1} + β_t^n k_t^n v_t^nᵀ        n = 1 .. N,  S_t = S_t^N
/// β_t   = 2 σ(W_β x_t)        g_t = −A softplus(W_a x_t + dt_bias)
/// y_t   = W_o ( RMSNorm(S_tᵀ q_t / √K) ⊙ silu(W_g x_t) )
/// ```
///
/// Where
///
/// * `N` is `num_householder`: two steps turn the memory in a plane, which one cannot,
/// * `q`, `k`, `v` are projections of the input, each through a short convolution and `silu`, and `q` and `k` are
///   divided by their length; the projections of `k`, `v` and `β` hold all heads of the first step, then of the next,
/// * `A` is a learned rate per value head and `dt_bias` a learned bias, see
///   [`DecayGate`](crate::parts::DecayGate); without `forget_gate` nothing fades,
/// * `β` is half that without `allow_neg_eigval`,
/// * value head `j` reads and writes with key head `j / (H / HK)`,
/// * the norm works on each head by itself, and the gate after it is optional.
///
/// The state is `S`, `4·H·K·V` bytes per sequence for `H` value heads, and the last inputs of the convolutions. More
/// steps make it no larger.
///
/// Source: Siems et al. 2025, <https://arxiv.org/abs/2502.10297> (sec. 4).
///
/// Should be created with [`GatedDeltaProductConfig`].
#[derive(Module, Debug)]
pub struct GatedDeltaProduct {
    /// The projections, convolutions and norm of the heads.
    pub heads: DeltaHeads,
    /// `W_a`, `A` and `dt_bias`, if the memory fades.
    pub decay: Option<ScalarDecay>,
    /// `D` to `H·V`.
    pub gate: Option<Linear>,
}

crate::state! {
    /// State of [`GatedDeltaProduct`].
    pub struct GatedDeltaProductState of GatedDeltaProduct {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

super::delta_mixer::delta_mixer!(GatedDeltaProduct, GatedDeltaProductState);

impl GatedDeltaProduct {
    /// How the memory fades, and what gates the outputs.
    fn decay_and_gate(&self, input: &Tensor<3>) -> (Decay, Option<Tensor<3>>) {
        let decay = self.decay.as_ref().map_or(Decay::None, |decay| decay.forward(input.clone()));
        (decay, self.gate.as_ref().map(|gate| project(gate, input.clone())))
    }
}
