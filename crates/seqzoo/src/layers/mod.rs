//! The zoo: one layer per file.
//!
//! | layer | memory | state per sequence |
//! |---|---|---|
//! | [`SoftmaxAttention`] | all tokens, or a window of them | grows with the tokens seen |
//! | [`LandmarkAttention`] | all tokens, a block at a time | grows with the tokens seen |
//! | [`DifferentialAttention`] | all tokens, seen by two maps of which one is taken from the other | grows with the tokens seen |
//! | [`SigmoidAttention`] | all tokens, each weighed by itself | grows with the tokens seen |
//! | [`Hopfield`] | all tokens, retrieved in steps | grows with the tokens seen |
//! | [`Aaren`] | the average of all tokens, by the softmax of a learned query | `H·(d+2)` |
//! | [`LinearAttention`] | outer products, nothing fades | `H·K·V` |
//! | [`MultiScaleRetention`] | outer products, fading at a fixed rate per head | `H·K·V` |
//! | [`GatedLinearAttention`] | outer products, fading at a learned rate per token and channel | `H·K·V` |
//! | [`DeltaNet`] | outer products that replace what their key held | `H·K·V` |
//! | [`GatedDeltaNet`] | the same, fading at a learned rate per token | `H·K·V` |
//! | [`KimiDeltaAttention`] | the same, fading at a learned rate per token and channel | `H·K·V` |
//! | [`GatedDeltaProduct`] | several replacements per token, fading at a learned rate | `H·K·V` |
//! | [`MixtureOfMemories`] | several memories, of which every token goes to a few | `(M+1)·H·K·V` |
//! | [`NeuralMemory`] | a network per head that learns to answer keys with values | `3·H·P` |
//! | [`TitansMac`] | the same, asked before attention to a segment and written after it | `3·H·P`, and the segment |
//! | [`TitansMag`] | the same as a gate of attention to a window | `3·H·P`, and the window |
//! | [`TitansMal`] | the same in front of attention to a window | `3·H·P`, and the window |
//! | [`Ttt`] | a network per head that learns the same by a layer norm's loss, without momentum or forgetting | `2·H·P` |
//! | [`S4`] | a linear state space per channel that begins as HiPPO | `D·N` |
//! | [`S4d`] | the same, diagonal | `D·N` |
//! | [`S5`] | one linear state space of all channels | `P` |
//! | [`Lmu`] | a sliding window as Legendre coefficients | `M·d` |
//! | [`H3`] | the last few keys, and products with them in a linear state space | `(N+S-1)·D` |
//! | [`Hyena`] | the last tokens, as many as its filters are long | grows up to `(n-1)·(L-1)·D` |
//! | [`Hgrn`] | a moving average per channel, whose rate the token chooses | `E` |
//! | [`Hgrn2`] | outer products whose keys are what the forget gates let go | `K·D` |
//! | [`RgLru`] | the same after a short convolution, with gated inputs | `E` |
//! | [`Mamba`] | a diagonal state per channel, whose step, write and read the token chooses | `E·N` |
//! | [`Mamba2`] | outer products, fading at a rate per head that the token chooses | `E·N` |
//! | [`BaseConv`] | the last few tokens | `(W-1)·D` |
//! | [`GatedConv`] | the same of wider channels, gated | `(W-1)·E/2` |

mod aaren;
mod base_conv;
mod delta_mixer;
mod delta_net;
mod differential_attention;
mod gated_conv;
mod gated_delta_net;
mod gated_delta_product;
mod gated_linear_attention;
mod h3;
mod hgrn;
mod hgrn2;
mod hopfield;
mod hyena;
mod kimi_delta_attention;
mod landmark_attention;
mod linear_attention;
mod lmu;
mod mamba;
mod mamba2;
mod mixture_of_memories;
mod multi_scale_retention;
mod neural_memory;
mod rg_lru;
mod s4;
mod s4d;
mod s5;
mod sigmoid_attention;
mod softmax_attention;
mod titans;
mod titans_mac;
mod titans_mag;
mod titans_mal;
mod ttt;

pub use aaren::{Aaren, AarenConfig, AarenState};
pub use base_conv::{BaseConv, BaseConvConfig, BaseConvState};
pub use delta_net::{DeltaNet, DeltaNetConfig, DeltaNetState};
pub use differential_attention::{
    DifferentialAttention, DifferentialAttentionConfig, DifferentialAttentionState,
};
pub use gated_conv::{GatedConv, GatedConvConfig, GatedConvState};
pub use gated_delta_net::{GatedDeltaNet, GatedDeltaNetConfig, GatedDeltaNetState};
pub use gated_delta_product::{GatedDeltaProduct, GatedDeltaProductConfig, GatedDeltaProductState};
pub use gated_linear_attention::{
    GatedLinearAttention, GatedLinearAttentionConfig, GatedLinearAttentionState,
};
pub use h3::{H3, H3Config, H3State};
pub use hgrn::{Hgrn, HgrnConfig, HgrnState};
pub use hgrn2::{Hgrn2, Hgrn2Config, Hgrn2State};
pub use hopfield::{Hopfield, HopfieldConfig, HopfieldState};
pub use hyena::{Hyena, HyenaConfig, HyenaState};
pub use kimi_delta_attention::{KimiDeltaAttention, KimiDeltaAttentionConfig, KimiDeltaAttentionState};
pub use landmark_attention::{
    BlockCounts, LandmarkAttention, LandmarkAttentionConfig, LandmarkAttentionState, LandmarkChoice,
    LandmarkStore, RetrievalConfig,
};
pub use linear_attention::{LinearAttention, LinearAttentionConfig, LinearAttentionState};
pub use lmu::{Lmu, LmuActivation, LmuConfig, LmuState};
pub use mamba::{Mamba, MambaConfig, MambaState};
pub use mamba2::{Mamba2, Mamba2Config, Mamba2State};
pub use mixture_of_memories::{
    ConvolutionPlace, MemoryOfMixture, MemoryRule, MixtureOfMemories, MixtureOfMemoriesConfig,
    MixtureOfMemoriesState, RuleParameters,
};
pub use multi_scale_retention::{MultiScaleRetention, MultiScaleRetentionConfig, MultiScaleRetentionState};
pub use neural_memory::{NeuralMemory, NeuralMemoryConfig, NeuralMemoryState};
pub use rg_lru::{RgLru, RgLruConfig, RgLruState};
pub use s4::{S4, S4Config, S4State};
pub use s4d::{S4d, S4dConfig, S4dState};
pub use s5::{S5, S5Activation, S5Config, S5State};
pub use sigmoid_attention::{SigmoidAttention, SigmoidAttentionConfig, SigmoidAttentionState};
pub use softmax_attention::{
    PersistentTokens, QkNorm, SoftmaxAttention, SoftmaxAttentionConfig, SoftmaxAttentionState,
};
pub use titans_mac::{TitansMac, TitansMacConfig, TitansMacState};
pub use titans_mag::{TitansMag, TitansMagConfig, TitansMagState};
pub use titans_mal::{TitansMal, TitansMalConfig, TitansMalState};
pub use ttt::{Ttt, TttConfig, TttState};
