//! The neural memory of Titans as a layer: a network that learns while it reads.

use crate::ops::Report;
use crate::ops::neural_memory::{NeuralMemoryState as Memory, Surprise};
use crate::parts::{
    ConvStates, GatedRmsNorm, MemoryHeads, MemoryOptions, ProjectionInit, join_heads, project, projection,
    split_heads,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(NeuralMemory, "neural_memory", NeuralMemoryConfig);

/// Configuration of [`NeuralMemory`].
#[derive(Config, Debug)]
pub struct NeuralMemoryConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads, each with a memory. Default: `4`.
    #[config(default = 4)]
    pub num_heads: usize,
    /// Channels per head, of queries, keys and values. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// Matrices of each memory, with GELU between them; 1 is a linear memory. Default: `2`.
    #[config(default = 2)]
    pub depth: usize,
    /// Channels between those matrices, as a multiple of those of a head. Default: `4.0`.
    #[config(default = 4.0)]
    pub expand_hidden: f64,
    /// Tokens whose gradients are taken at the same weights; 1 is the online memory. Default: `16`.
    #[config(default = 16)]
    pub chunk: usize,
    /// Whether the memory adds its input to its answer. Default: `false`.
    #[config(default = false)]
    pub residual: bool,
    /// Whether the weights forget. Default: `true`.
    #[config(default = true)]
    pub forgetting: bool,
    /// Whether past surprise carries on as momentum. Default: `true`.
    #[config(default = true)]
    pub momentum: bool,
    /// The largest step of a token along its gradient. Default: `None`, 1 for a linear memory and 0.02 for a deeper one,
    /// which diverges sooner.
    pub max_step: Option<f64>,
    /// Learned tokens that the memory has read before the first one. Default: `0`.
    #[config(default = 0)]
    pub num_persistent: usize,
    /// Taps of the short convolutions after the query, key and value projections, at least 2. `None`: `silu`
    /// without a convolution. Default: `Some(4)`.
    #[config(default = "Some(4)")]
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
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

impl NeuralMemoryConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads, channels, layers or tokens in a chunk, the heads do not divide the channels, the
    /// convolutions have fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<NeuralMemory, ConfigError> {
        self.checked(|| {
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            let options = MemoryOptions {
                depth: self.depth,
                expand_hidden: self.expand_hidden,
                chunk: self.chunk,
                residual: self.residual,
                forgetting: self.forgetting,
                momentum: self.momentum,
                max_step: self.max_step,
                persistent: self.num_persistent,
                conv_size: self.conv_size,
                conv_bias: self.conv_bias,
                initializer: self.initializer,
            };
            let heads = MemoryHeads::try_init(
                Self::KIND,
                self.d_model,
                self.num_heads,
                self.head_dim,
                options,
                device,
            )?;
            let width = heads.width();
            let gate = || projection(self.d_model, width, self.initializer, device);
            Ok(NeuralMemory {
                gate: self.output_gate.then(gate),
                norm: GatedRmsNorm::new(width / self.num_heads, self.norm_epsilon, device),
                output: self.initializer.output_projection(width, self.d_model, device),
                heads,
                surprise: false,
            })
        })
    }
}

/// The neural memory of Titans (LMM, the memory as a layer of its own): each head is a small network that learns, token
/// by token, to answer keys with values, by gradient descent with momentum and forgetting.
///
/// ```text
/// S_t = η_t S_{t-1} − θ_t ∇ ‖M(k_t) − v_t‖²        the gradient at the weights where the chunk starts
/// W_t = (1 − α_t) W_{t-1} + S_t
/// y_t = W_o ( RMSNorm(M(q_t)) ⊙ silu(W_g x_t) )        M with the weights W_t
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution and `silu`, and `q` and `k` are
///   divided by their length,
/// * `M` is a product of `depth` matrices with exact GELU between them,
/// * `α`, `η`, `θ` are sigmoids of projections of the input, `θ` times `max_step`; see
///   [`MemoryGates`](crate::parts::MemoryGates) for what they are initially,
/// * the weights begin as learned matrices, which have read the persistent tokens, if there are any,
/// * the norm works on each head by itself, and the gate after it is optional.
///
/// The state is the weights, the momentum, the weights at the start of the chunk, and the place in the chunk:
/// `12·H·P + 4` bytes per sequence, `P = 2·d·h` numbers in a memory of two layers, `d` channels of a head and `h` between
/// them; and the last inputs of the convolutions.
///
/// What the paper leaves open, and what is chosen here: a token is stored before it is read, so that the query sees its
/// own token; the gates are one number per token and head; the loss is a sum over channels, not a mean; the matrices begin
/// Xavier-uniform, with untrained gates as [`MemoryGates`](crate::parts::MemoryGates) says; and the output norm and its
/// gate are those of GLA. titans-pytorch takes all surprise at the learned initial weights unless `batch_size` is given,
/// makes `α` and `η` of the mean of a chunk's inputs, leaves an incomplete last chunk out of its weights, and has a layer
/// norm in the memory.
///
/// Source: Behrouz et al. 2024, <https://arxiv.org/abs/2501.00663> (sec. 3; sec. 4.2 for the persistent tokens).
///
/// Should be created with [`NeuralMemoryConfig`].
#[derive(Module, Debug)]
pub struct NeuralMemory {
    /// The projections, convolutions and gates, and what the memories begin as.
    pub heads: MemoryHeads,
    /// `D` to `H·V`.
    pub gate: Option<Linear>,
    /// The norm of each head's output, gated where there is a gate.
    pub norm: GatedRmsNorm,
    /// `H·V` to `D`.
    pub output: Linear,
    surprise: bool,
}

crate::state! {
    /// State of [`NeuralMemory`].
    pub struct NeuralMemoryState of NeuralMemory {
        /// The memory: weights, momentum, the weights at the start of the chunk, `[B, H, in, out]` for each of its
        /// layers, and the place in the chunk.
        pub memory: Memory,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

impl NeuralMemoryState {
    /// How far the tokens of the last call surprised the memory, if the layer was [asked](NeuralMemory::with_surprise) for
    /// that. It is not saved, and whatever walks the state ([`detach`](crate::MixerState::detach) and the like) drops it.
    pub fn surprise(&self) -> Option<&Surprise> {
        self.memory.surprise.as_ref()
    }
}

impl NeuralMemory {
    /// The same layer, whose states tell how far the tokens of the last call [surprised](NeuralMemoryState::surprise) the
    /// memory; inside [`TitansMac`](super::TitansMac), those of the last segment in it.
    pub fn with_surprise(self) -> Self {
        Self { surprise: true, ..self }
    }
}

impl SequenceMixer for NeuralMemory {
    type State = NeuralMemoryState;

    fn d_model(&self) -> usize {
        self.heads.d_model()
    }

    fn init_state(&self, batch: usize, device: &Device) -> NeuralMemoryState {
        let (memory, convolutions) = self.heads.init_state(batch, device);
        NeuralMemoryState { memory, convolutions }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: NeuralMemoryState,
    ) -> (Tensor<3>, NeuralMemoryState) {
        let gate = self.gate.as_ref().map(|gate| project(gate, input.clone()));
        let state = (state.memory, state.convolutions);
        let (read, (memory, convolutions)) = self.heads.forward(input, resets, self.surprise, state);
        let gate = gate.map(|gate| split_heads(gate, read.dims()[2]));
        let output = project(&self.output, join_heads(self.norm.forward(read, gate)));
        (output, NeuralMemoryState { memory, convolutions })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        self.heads.report(time, device)
    }
}
