//! Titans with memory as a layer: a neural memory, and attention to a window of what it says.

use super::titans::titans_config;
use super::{NeuralMemory, NeuralMemoryState, SoftmaxAttention, SoftmaxAttentionState};
use crate::ops::Report;
use crate::parts::RmsNorm;
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(TitansMal, "titans_mal", TitansMalConfig);

titans_config! {
    /// Configuration of [`TitansMal`].
    pub struct TitansMalConfig {
        /// How many tokens each token sees in the attention, itself included. Default: `64`.
        window = 64,
        /// Tokens whose gradients are taken at the same weights; 1 is the online memory. Default: `16`.
        chunk = 16,
    }
}

impl TitansMalConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// As [`SoftmaxAttentionConfig`](super::SoftmaxAttentionConfig) and
    /// [`NeuralMemoryConfig`](super::NeuralMemoryConfig).
    pub fn try_init(&self, device: &Device) -> Result<TitansMal, ConfigError> {
        self.checked(|| {
            Ok(TitansMal {
                memory: self.memory(self.chunk).try_init(device)?,
                norm: RmsNorm::new(self.d_model, self.norm_epsilon, device),
                attention: self.attention(Some(self.window)).try_init(device)?,
            })
        })
    }
}

/// Titans, memory as a layer (MAL): the memory compresses all tokens, and attention looks at the last of what it says.
///
/// ```text
/// y = attention(RMSNorm(memory(x)))
/// ```
///
/// Where
///
/// * `memory` is [`NeuralMemory`], whose weights have read persistent tokens,
/// * `attention` is [`SoftmaxAttention`] to a window, with persistent tokens that every token sees.
///
/// The state is both of theirs: what [`NeuralMemory`] says in the one, and `8·(window − 1)·D` bytes per sequence in the
/// other. The norm between the two is not in the paper; without it the attention sees the scale of the memory's output,
/// which is small at first. titans-pytorch has no such layer.
///
/// Source: Behrouz et al. 2024, <https://arxiv.org/abs/2501.00663> (sec. 4.3).
///
/// Should be created with [`TitansMalConfig`].
#[derive(Module, Debug)]
pub struct TitansMal {
    /// What all tokens go through first.
    pub memory: NeuralMemory,
    /// The norm of its output.
    pub norm: RmsNorm,
    /// What looks at the last tokens of that.
    pub attention: SoftmaxAttention,
}

crate::state! {
    /// State of [`TitansMal`].
    pub struct TitansMalState of TitansMal {
        /// The memory.
        pub memory: NeuralMemoryState,
        /// The window's keys and values.
        pub attention: SoftmaxAttentionState,
    }
}

impl SequenceMixer for TitansMal {
    type State = TitansMalState;

    fn d_model(&self) -> usize {
        self.memory.d_model()
    }

    fn init_state(&self, batch: usize, device: &Device) -> TitansMalState {
        TitansMalState {
            memory: self.memory.init_state(batch, device),
            attention: self.attention.init_state(batch, device),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: TitansMalState,
    ) -> (Tensor<3>, TitansMalState) {
        let (read, memory) = self.memory.mix(input, resets.clone(), state.memory);
        let (output, attention) = self.attention.mix(self.norm.forward(read), resets, state.attention);
        (output, TitansMalState { memory, attention })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        self.memory.report(time, device)
    }
}
