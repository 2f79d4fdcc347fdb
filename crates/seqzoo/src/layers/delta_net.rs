//! DeltaNet: a memory that replaces what it holds under a key.

use crate::ops::Decay;
use crate::parts::{ConvStates, DeltaHeads, DeltaLayout, DeltaOptions, ProjectionInit, project, projection};
use crate::{ConfigError, LayerConfig};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

crate::layer!(DeltaNet, "delta_net", DeltaNetConfig);

/// Configuration of [`DeltaNet`].
#[derive(Config, Debug)]
pub struct DeltaNetConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads. Default: `4`.
    #[config(default = 4)]
    pub num_heads: usize,
    /// Key channels of all heads, as a multiple of `d_model`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_k: f64,
    /// Value channels of all heads, as a multiple of `d_model`. Default: `1.0`.
    #[config(default = 1.0)]
    pub expand_v: f64,
    /// Taps of the short convolutions after the query, key and value projections, at least 2. `None`: `silu`
    /// without a convolution. Default: `Some(4)`.
    #[config(default = "Some(4)")]
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// Whether every token chooses its beta. `false`: beta is 1, or 2 with `allow_neg_eigval`. Default:
    /// `true`.
    #[config(default = true)]
    pub use_beta: bool,
    /// Whether beta reaches 2 instead of 1, so that a token can flip the sign of what it finds (Grazzi et al.
    /// 2024, <https://arxiv.org/abs/2411.12537>). Default: `false`.
    #[config(default = false)]
    pub allow_neg_eigval: bool,
    /// Whether the output passes a gate. Default: `false`.
    #[config(default = false)]
    pub output_gate: bool,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl DeltaNetConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, a convolution has fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<DeltaNet, ConfigError> {
        self.checked(|| {
            let layout = DeltaLayout::expanded(
                Self::KIND,
                self.d_model,
                self.num_heads,
                self.expand_k,
                self.expand_v,
            )?;
            let options = DeltaOptions {
                conv_size: self.conv_size,
                conv_bias: self.conv_bias,
                use_beta: self.use_beta,
                allow_neg_eigval: self.allow_neg_eigval,
                norm_epsilon: self.norm_epsilon,
                initializer: self.initializer,
            };
            let heads = DeltaHeads::try_init(Self::KIND, self.d_model, layout, options, device)?;
            let gate = || projection(self.d_model, layout.width(), self.initializer, device);
            Ok(DeltaNet { heads, gate: self.output_gate.then(gate) })
        })
    }
}

/// DeltaNet: every token replaces what the memory holds under its key, as strongly as it chooses.
///
/// ```text
/// S_t = (I − β_t k_t k_tᵀ) S_{t-1} + β_t k_t v_tᵀ        β_t = σ(W_β x_t)
/// y_t = W_o RMSNorm(S_tᵀ q_t / √K)
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution and `silu`, and `q` and `k` are
///   divided by their length,
/// * `β` is twice that with `allow_neg_eigval`, and 1 (or 2) without `use_beta`,
/// * the norm works on each head by itself; with `output_gate`, `silu(W_g x_t)` multiplies it.
///
/// The state is `S`, `4·H·K·V` bytes per sequence, and the last inputs of the convolutions.
///
/// Source: Yang et al. 2024, <https://arxiv.org/abs/2406.06484> (sec. 3.3); the rule is that of Schlag et al. 2021,
/// <https://arxiv.org/abs/2102.11174>.
///
/// Should be created with [`DeltaNetConfig`].
#[derive(Module, Debug)]
pub struct DeltaNet {
    /// The projections, convolutions and norm of the heads.
    pub heads: DeltaHeads,
    /// `D` to `H·V`.
    pub gate: Option<Linear>,
}

crate::state! {
    /// State of [`DeltaNet`].
    pub struct DeltaNetState of DeltaNet {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

super::delta_mixer::delta_mixer!(DeltaNet, DeltaNetState);

impl DeltaNet {
    /// How the memory fades, and what gates the outputs.
    fn decay_and_gate(&self, input: &Tensor<3>) -> (Decay, Option<Tensor<3>>) {
        (Decay::None, self.gate.as_ref().map(|gate| project(gate, input.clone())))
    }
}
