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
//! | [`S4`] | a linear state space per channel that begins as HiPPO | `D·N` |
//! | [`S4d`] | the same, diagonal | `D·N` |
//! | [`Lmu`] | a sliding window as Legendre coefficients | `M·d` |
//! | [`BaseConv`] | the last few tokens | `(W-1)·D` |

mod base_conv;
mod delta_mixer;
mod delta_net;
mod gated_delta_net;
mod gated_delta_product;
mod gated_linear_attention;
mod kimi_delta_attention;
mod linear_attention;
mod lmu;
mod multi_scale_retention;
mod s4;
mod s4d;
mod softmax_attention;

pub use base_conv::{BaseConv, BaseConvConfig, BaseConvState};
pub use delta_net::{DeltaNet, DeltaNetConfig, DeltaNetState};
pub use gated_delta_net::{GatedDeltaNet, GatedDeltaNetConfig, GatedDeltaNetState};
pub use gated_delta_product::{GatedDeltaProduct, GatedDeltaProductConfig, GatedDeltaProductState};
pub use gated_linear_attention::{
    GatedLinearAttention, GatedLinearAttentionConfig, GatedLinearAttentionState,
};
pub use kimi_delta_attention::{KimiDeltaAttention, KimiDeltaAttentionConfig, KimiDeltaAttentionState};
pub use linear_attention::{LinearAttention, LinearAttentionConfig, LinearAttentionState};
pub use lmu::{Lmu, LmuActivation, LmuConfig, LmuState};
pub use multi_scale_retention::{MultiScaleRetention, MultiScaleRetentionConfig, MultiScaleRetentionState};
pub use s4::{S4, S4Config, S4State};
pub use s4d::{S4d, S4dConfig, S4dState};
pub use softmax_attention::{SoftmaxAttention, SoftmaxAttentionConfig, SoftmaxAttentionState};
