//! Titans with memory as a gate: attention to a window beside a neural memory.

use super::titans::titans_config;
use super::{NeuralMemory, NeuralMemoryState, SoftmaxAttention, SoftmaxAttentionState};
use crate::ops::Report;
use crate::parts::RmsNorm;
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, activation::silu};

crate::layer!(TitansMag, "titans_mag", TitansMagConfig);

titans_config! {
    /// Configuration of [`TitansMag`].
    pub struct TitansMagConfig {
        /// How many tokens each token sees in the attention, itself included. Default: `64`.
        window = 64,
        /// Tokens whose gradients are taken at the same weights; 1 is the online memory. Default: `16`.
        chunk = 16,
    }
}

impl TitansMagConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// As [`SoftmaxAttentionConfig`](super::SoftmaxAttentionConfig) and
    /// [`NeuralMemoryConfig`](super::NeuralMemoryConfig).
    pub fn try_init(&self, device: &Device) -> Result<TitansMag, ConfigError> {
        self.checked(|| {
            let norm = || RmsNorm::new(self.d_model, self.norm_epsilon, device);
            Ok(TitansMag {
                attention: self.attention(Some(self.window)).try_init(device)?,
                memory: self.memory(self.chunk).try_init(device)?,
                attention_norm: norm(),
                memory_norm: norm(),
            })
        })
    }
}

/// Titans, memory as a gate (MAG): attention to the last tokens, gated by a memory of all of them.
///
/// ```text
/// y_t = RMSNorm(attention(x)_t) ⊙ silu(RMSNorm(memory(x)_t))
/// ```
///
/// Where
///
/// * `attention` is [`SoftmaxAttention`] to a window, with persistent tokens that every token sees,
/// * `memory` is [`NeuralMemory`], whose weights have read persistent tokens of its own.
///
/// The attention is precise and short, the memory long and blurred. The state is both of theirs: `8·(window − 1)·D` bytes
/// per sequence in the one, and what [`NeuralMemory`] says in the other.
///
/// The paper has persistent tokens in front of the input of both branches; here the attention has learned keys and values,
/// and the memory learned inputs. The paper normalises both outputs and applies "a non-linearity", which is `silu` of the
/// memory here. titans-pytorch has no such layer; an option of its MAC multiplies the attention's output by a sigmoid of
/// the memory's.
///
/// Source: Behrouz et al. 2024, <https://arxiv.org/abs/2501.00663> (sec. 4.2).
///
/// Should be created with [`TitansMagConfig`].
#[derive(Module, Debug)]
pub struct TitansMag {
    /// The branch that is precise.
    pub attention: SoftmaxAttention,
    /// The branch that is long.
    pub memory: NeuralMemory,
    /// The norm of the attention's output.
    pub attention_norm: RmsNorm,
    /// The norm of the memory's output.
    pub memory_norm: RmsNorm,
}

crate::state! {
    /// State of [`TitansMag`].
    pub struct TitansMagState of TitansMag {
        /// The window's keys and values.
        pub attention: SoftmaxAttentionState,
        /// The memory.
        pub memory: NeuralMemoryState,
    }
}

impl SequenceMixer for TitansMag {
    type State = TitansMagState;

    fn d_model(&self) -> usize {
        self.memory.d_model()
    }

    fn init_state(&self, batch: usize, device: &Device) -> TitansMagState {
        TitansMagState {
            attention: self.attention.init_state(batch, device),
            memory: self.memory.init_state(batch, device),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: TitansMagState,
    ) -> (Tensor<3>, TitansMagState) {
        let (seen, attention) = self.attention.mix(input.clone(), resets.clone(), state.attention);
        let (read, memory) = self.memory.mix(input, resets, state.memory);
        let output = self.attention_norm.forward(seen) * silu(self.memory_norm.forward(read));
        (output, TitansMagState { attention, memory })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        self.memory.report(time, device)
    }
}
