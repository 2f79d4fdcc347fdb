//! Titans with memory as a context: attention to a segment and to what the memory remembers for it.

mod groups;
mod join;

use super::titans::titans_config;
use super::{NeuralMemory, NeuralMemoryState, SoftmaxAttention, SoftmaxAttentionState};
use crate::ops::Report;
use crate::ops::attention::{AttentionState, Entries};
use crate::parts::{MemoryReader, RmsNorm, check_tokens};
use crate::{ConfigError, LayerConfig, MixerState, SequenceMixer};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, activation::silu};
use groups::{Group, groups, order};
use join::join;

crate::layer!(TitansMac, "titans_mac", TitansMacConfig);

titans_config! {
    /// Configuration of [`TitansMac`].
    pub struct TitansMacConfig {
        /// Tokens of a segment: the attention looks no further, and the memory is one for all of them. Default: `64`.
        segment = 64,
    }
}

impl TitansMacConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the segment has no tokens, and as [`SoftmaxAttentionConfig`](super::SoftmaxAttentionConfig) and
    /// [`NeuralMemoryConfig`](super::NeuralMemoryConfig).
    pub fn try_init(&self, device: &Device) -> Result<TitansMac, ConfigError> {
        self.checked(|| {
            check_tokens(Self::KIND, "segment", self.segment)?;
            let norm = || RmsNorm::new(self.d_model, self.norm_epsilon, device);
            let memory = self.memory(self.segment).try_init(device)?;
            Ok(TitansMac {
                reader: MemoryReader::new(&memory.heads, self.norm_epsilon, self.initializer, device),
                attention: self.attention(None).try_init(device)?,
                memory,
                attention_norm: norm(),
                memory_norm: norm(),
                segment: self.segment,
            })
        })
    }
}

/// Titans, memory as a context (MAC): for every segment of the sequence the memory is asked first, and attention sees
/// its answers beside the tokens; what the attention makes of them is stored.
///
/// ```text
/// h_i = W_h RMSNorm(M(W_r x_i))                    M as it is where the segment begins
/// y_i = attention of x_i to [ persistent | h_1 x_1 … h_i x_i ]
/// m_i = memory(y)_i                                stores y_i, then reads with the weights of this token
/// o_i = RMSNorm(y_i) ⊙ silu(RMSNorm(m_i))
/// ```
///
/// Where
///
/// * `attention` is [`SoftmaxAttention`] within the segment, with persistent tokens that every token sees,
/// * `memory` is [`NeuralMemory`], its chunks the segments, whose weights have read persistent tokens of its own,
/// * `W_r` maps a token to the keys that ask the memory, of unit length after `silu`.
///
/// The state is the memory's, and of the attention the keys and values of the segment: at most `2·segment` of them,
/// `16·segment·D` bytes per sequence with `head_dim` as it is if left out.
///
/// The paper has `o = y ⊗ M(y)`, with norms and a nonlinearity that it does not name; `W_h`, the norms, `silu`, and the
/// output gate and projection inside `memory` are choices made here. The paper puts all answers `h` in front of all
/// tokens of a segment. Here token `i` sees the answers to its own question and to earlier ones alone: a later token must
/// change nothing before it, or the layer could not stream. The paper writes the memory once per segment, from all of its
/// outputs; here every output is stored with gates of its own, and all gradients of a segment are taken at the weights
/// where it begins. titans-pytorch adds what it retrieves to the input of the attention, and writes the input, not the
/// output.
///
/// Sequences of a batch that stand at different places of their segments are worked on one group after the other.
///
/// Source: Behrouz et al. 2024, <https://arxiv.org/abs/2501.00663> (sec. 4.1).
///
/// Should be created with [`TitansMacConfig`].
#[derive(Module, Debug)]
pub struct TitansMac {
    /// Asks the memory before the attention.
    pub reader: MemoryReader,
    /// Looks at the segment.
    pub attention: SoftmaxAttention,
    /// Stores what the attention made of it.
    pub memory: NeuralMemory,
    /// The norm of the attention's output.
    pub attention_norm: RmsNorm,
    /// The norm of the memory's output.
    pub memory_norm: RmsNorm,
    segment: usize,
}

crate::state! {
    /// State of [`TitansMac`].
    pub struct TitansMacState of TitansMac {
        /// The keys and values of the segment: of what was retrieved and of the tokens, in turn.
        pub attention: SoftmaxAttentionState,
        /// The memory.
        pub memory: NeuralMemoryState,
    }
}

impl TitansMac {
    /// Sequences that are all at the same place of their segments.
    fn in_step(
        &self,
        input: Tensor<3>,
        group: &Group,
        mut state: TitansMacState,
    ) -> (Tensor<3>, TitansMacState) {
        let ([batch, time, _], device) = (input.dims(), input.device());
        // Of the entries only those of this segment: others were kept for sequences further on in theirs.
        state.attention.cache = newest(state.attention.cache, 2 * group.place);
        let mut outputs = Vec::new();
        for piece in group.pieces(time, self.segment) {
            if piece.cleared {
                state.memory = self.memory.init_state(batch, &device);
            }
            if piece.begins {
                state.attention.cache = self.attention.init_state(batch, &device).cache;
            }
            let tokens = input.clone().narrow(1, piece.from, piece.to - piece.from);
            let (output, next) = self.piece(tokens, piece.begins, state);
            outputs.push(output);
            state = next;
        }
        (Tensor::cat(outputs, 1), state)
    }

    /// Tokens of one segment, `[B, T, D]`; `begins`: from its first one on.
    fn piece(&self, input: Tensor<3>, begins: bool, state: TitansMacState) -> (Tensor<3>, TitansMacState) {
        let [batch, time, channels] = input.dims();
        let memory = &state.memory.memory;
        let start = if begins { &memory.weights } else { &memory.start };
        let retrieved = self.reader.forward(input.clone(), start, self.memory.heads.residual());
        // Answer and token in turn.
        let context = Tensor::stack::<4>(vec![retrieved, input], 2).reshape([batch, 2 * time, channels]);
        let (seen, attention) = self.attention.mix(context, None, state.attention);
        let seen = seen.reshape([batch, time, 2, channels]).narrow(2, 1, 1).squeeze_dim::<3>(2);
        let (read, memory) = self.memory.mix(seen.clone(), None, state.memory);
        let output = self.attention_norm.forward(seen) * silu(self.memory_norm.forward(read));
        (output, TitansMacState { attention, memory })
    }
}

/// The newest entries of a cache, `count` of them, which are all visible. A state from a file may have fewer: then they
/// are what there is to see of the segment.
fn newest(cache: AttentionState, count: usize) -> AttentionState {
    let newest = |entries: Entries| {
        let length = entries.dims()[1];
        let count = count.min(length);
        if count == length { entries } else { entries.tensor().narrow(1, length - count, count).into() }
    };
    // None of them: the first piece begins a segment, and takes an empty cache.
    if count == 0 {
        return cache;
    }
    AttentionState { keys: newest(cache.keys), values: newest(cache.values), log_decays: None, visible: None }
}

impl SequenceMixer for TitansMac {
    type State = TitansMacState;

    fn d_model(&self) -> usize {
        self.memory.d_model()
    }

    fn init_state(&self, batch: usize, device: &Device) -> TitansMacState {
        TitansMacState {
            attention: self.attention.init_state(batch, device),
            memory: self.memory.init_state(batch, device),
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: TitansMacState,
    ) -> (Tensor<3>, TitansMacState) {
        let device = input.device();
        let groups = groups(&state.memory.memory.places(), resets.as_ref());
        if let [group] = &groups[..] {
            return self.in_step(input, group, state);
        }
        let parts = groups.iter().map(|group| {
            let rows = group.indices(&device);
            self.in_step(input.clone().select(0, rows.clone()), group, state.clone().select(rows))
        });
        let (outputs, states): (Vec<_>, Vec<_>) = parts.unzip();
        let order = order(&groups, &device);
        (Tensor::cat(outputs, 0).select(0, order.clone()), join(states).select(order))
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        self.memory.report(time.min(self.segment), device)
    }
}
