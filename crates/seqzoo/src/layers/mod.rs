//! The zoo: one layer per file.
//!
//! | layer | memory | state per sequence |
//! |---|---|---|
//! | [`SoftmaxAttention`] | all tokens, or a window of them | grows with the tokens seen |
//! | [`LinearAttention`] | outer products, nothing fades | `H·K·V` |
//! | [`MultiScaleRetention`] | outer products, fading at a fixed rate per head | `H·K·V` |
//! | [`GatedLinearAttention`] | outer products, fading at a learned rate per token and channel | `H·K·V` |
//! | [`DeltaNet`] | outer products that replace what their key held | `H·K·V` |
//! | [`GatedDeltaNet`] | the same, fading at a learned rate per token | `H·K·V` |
//! | [`KimiDeltaAttention`] | the same, fading at a learned rate per token and channel | `H·K·V` |
//! | [`GatedDeltaProduct`] | several replacements per token, fading at a learned rate | `H·K·V` |
//! | [`BaseConv`] | the last few tokens | `(W-1)·D` |
//! | [`H3`] | the last few keys, and products with them in a linear state space | `(N+S-1)·D` |
//! | [`Hyena`] | the last tokens, as many as its filters are long | grows up to `(n-1)·(L-1)·D` |

mod base_conv;
mod delta_mixer;
mod delta_net;
mod gated_delta_net;
mod gated_delta_product;
mod gated_linear_attention;
mod h3;
mod hyena;
mod kimi_delta_attention;
mod linear_attention;
mod multi_scale_retention;
mod softmax_attention;

pub use base_conv::{BaseConv, BaseConvConfig, BaseConvState};
pub use delta_net::{DeltaNet, DeltaNetConfig, DeltaNetState};
pub use gated_delta_net::{GatedDeltaNet, GatedDeltaNetConfig, GatedDeltaNetState};
pub use gated_delta_product::{GatedDeltaProduct, GatedDeltaProductConfig, GatedDeltaProductState};
pub use gated_linear_attention::{
    GatedLinearAttention, GatedLinearAttentionConfig, GatedLinearAttentionState,
};
pub use h3::{H3, H3Config, H3State};
pub use hyena::{Hyena, HyenaConfig, HyenaState};
pub use kimi_delta_attention::{KimiDeltaAttention, KimiDeltaAttentionConfig, KimiDeltaAttentionState};
pub use linear_attention::{LinearAttention, LinearAttentionConfig, LinearAttentionState};
pub use multi_scale_retention::{MultiScaleRetention, MultiScaleRetentionConfig, MultiScaleRetentionState};
pub use softmax_attention::{SoftmaxAttention, SoftmaxAttentionConfig, SoftmaxAttentionState};
